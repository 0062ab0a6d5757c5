package onlooker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/testenv/onlooker"
)

func machine(guid, id, mac, address string) fabricapi.VM {
	vm := fabricapi.VM{GUID: guid, Name: guid, NICs: []fabricapi.NIC{{MAC: mac, Addresses: []string{address}}}}
	if id != "" {
		vm.Stamp = &fabricapi.Stamp{ID: id}
	}
	return vm
}

func disk(volume, id, label string) fabricapi.File {
	return fabricapi.File{FileRef: fabricapi.FileRef{Volume: volume, Path: label}, Kind: fabricapi.VHDX, Label: label, Stamp: &fabricapi.Stamp{ID: id}}
}

func judge(w fabricapi.World) []string {
	return slices.Concat(onlooker.Unstamped(w), onlooker.Doubles(w))
}

func TestWhatMustNeverBeIsSeen(t *testing.T) {
	one := machine("g1", "1", "m1", "a1")
	for name, c := range map[string]struct {
		sites []fabricapi.Site
		says  []string
	}{
		"two sound VMs":                {[]fabricapi.Site{{VMs: []fabricapi.VM{one, machine("g2", "2", "m2", "a2")}}}, nil},
		"two VMs with one identity":    {[]fabricapi.Site{{VMs: []fabricapi.VM{one, machine("g2", "1", "m2", "a2")}}}, []string{"identity 1 is held by VM g1 (g1) and VM g2 (g2)"}},
		"the same, not at one site":    {[]fabricapi.Site{{VMs: []fabricapi.VM{one}}, {VMs: []fabricapi.VM{machine("g2", "1", "m2", "a2")}}}, []string{"identity 1 is held by VM g1 (g1) and VM g2 (g2)"}},
		"two VMs with one MAC":         {[]fabricapi.Site{{VMs: []fabricapi.VM{one, machine("g2", "2", "m1", "a2")}}}, []string{"MAC m1 is held by VM g1 (g1) and VM g2 (g2)"}},
		"two VMs with one address":     {[]fabricapi.Site{{VMs: []fabricapi.VM{one, machine("g2", "2", "m2", "a1")}}}, []string{"address a1 is held by VM g1 (g1) and VM g2 (g2)"}},
		"a VM of nobody":               {[]fabricapi.Site{{VMs: []fabricapi.VM{machine("g2", "", "m2", "a2")}}}, []string{"VM g2 (g2) bears no stamp"}},
		"two disks of a VM":            {[]fabricapi.Site{{Files: []fabricapi.File{disk("v1", "1", "boot"), disk("v1", "1", "data")}}}, nil},
		"one disk of a VM, made twice": {[]fabricapi.Site{{Files: []fabricapi.File{disk("v2", "1", "boot"), disk("v1", "1", "boot")}}}, []string{"VHDX boot of identity 1 is held by v1: boot and v2: boot"}},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(judge(fabricapi.World{Sites: c.sites})).To(Equal(c.says))
		})
	}
}

// patience is how long a busy machine may take.
const patience = time.Minute

func TestWhatWasWrongForAMomentIsRemembered(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	wrong := fabricapi.World{Sites: []fabricapi.Site{{VMs: []fabricapi.VM{machine("g2", "", "m2", "a2")}}}}
	right := fabricapi.World{Sites: []fabricapi.Site{{VMs: []fabricapi.VM{machine("g1", "1", "m1", "a1")}}}}
	looked := 0
	steps, found := onlooker.NewTally(), make(chan string, 10)
	l := onlooker.Start(t.Context(), onlooker.Options{
		World: func(context.Context) (fabricapi.World, error) {
			looked++
			switch looked {
			case 1, 3:
				return wrong, nil
			case 2:
				return fabricapi.World{}, errors.New("nobody answers")
			default:
				return right, nil
			}
		},
		Every: time.Millisecond, Judge: judge, Steps: steps, Found: func(line string) { found <- line },
	})
	g.Eventually(steps.Count).Should(Equal(2), "no world is like another")
	report := l.Stop()
	g.Expect(report.Violations).To(And(HaveLen(2), HaveKey("VM g2 (g2) bears no stamp"), HaveKey("nobody answers")))
	g.Expect(found).To(HaveLen(2), "each is told once")
	g.Expect(report.Identities).To(Equal(map[string]string{"1": "VM g1"}))
	g.Expect(report.Looks).To(BeNumerically(">=", 3))
	g.Expect(l.Stop()).To(Equal(report))
}

func TestWhoDoesNotLookAnyMoreIsKnownByIt(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	const unseen = time.Hour
	clock := clocktesting.NewFakeClock(time.Unix(1000, 0))
	looked, hangs := 0, make(chan struct{})
	l := onlooker.Start(t.Context(), onlooker.Options{
		World: func(ctx context.Context) (fabricapi.World, error) {
			looked++
			if looked == 2 {
				close(hangs)
			}
			if looked > 1 {
				<-ctx.Done()
			}
			return fabricapi.World{}, ctx.Err()
		},
		Every: time.Second, Clock: clock, Judge: judge, Steps: onlooker.NewTally(),
	})
	g.Eventually(func() chan struct{} {
		if clock.HasWaiters() {
			clock.Step(time.Second)
		}
		return hangs
	}).Should(BeClosed())
	clock.Step(unseen)
	report := l.Stop()
	g.Expect(report.Looks).To(Equal(1))
	g.Expect(report.Lasted).To(BeNumerically(">", unseen))
	g.Expect(report.Longest).To(BeNumerically(">=", unseen))
}

func TestWhoWaitsForStepsGoesOnWhenThereAreNone(t *testing.T) {
	g := NewWithT(t)
	g.SetDefaultEventuallyTimeout(patience)
	steps, waited := onlooker.NewTally(), make(chan int, 1)
	go func() {
		steps.Wait(t.Context(), 2, time.Hour)
		waited <- steps.Count()
	}()
	steps.Add()
	g.Consistently(waited, "20ms").ShouldNot(Receive())
	steps.Add()
	g.Eventually(waited).Should(Receive(Equal(2)))
	steps.Wait(t.Context(), 100, time.Millisecond)
}
