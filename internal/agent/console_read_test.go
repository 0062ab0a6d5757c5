package agent

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// oneGuest is a driver of one VM, which may be gone.
type oneGuest struct {
	hostapi.Driver
	vm   hostapi.VM
	gone bool
}

func (d *oneGuest) GetVM(_ context.Context, id hostapi.VMID) (hostapi.VM, error) {
	if d.gone {
		return hostapi.VM{}, hostapi.Errorf(hostapi.NotFound, "GetVM", string(id), "no such VM")
	}
	return d.vm, nil
}

func (d *oneGuest) ListVMs(context.Context) ([]hostapi.VM, error) {
	if d.gone {
		return nil, nil
	}
	return []hostapi.VM{d.vm}, nil
}

func TestAConsoleIsReadAgainOnlyIfItHasChanged(t *testing.T) {
	g := NewWithT(t)
	driver := &oneGuest{vm: hostapi.VM{Stamp: hostapi.Stamp{ID: "vm-1"}, Console: []string{"a", "b"}}}
	d, reads := newDiscreet(driver), 0
	d.consoles.read = func(raw []string) (hostapi.GuestInit, []string) {
		reads++
		return hostapi.GuestInit{State: hostapi.InitRunning}, raw[len(raw)-1:]
	}
	told := func() hostapi.VM {
		vm, err := d.GetVM(t.Context(), "vm-1")
		g.Expect(err).NotTo(HaveOccurred())
		return vm
	}

	g.Expect(told().Console).To(Equal([]string{"b"}))
	told().Console[0] = "what a caller does with it"
	g.Expect(told()).To(And(HaveField("Console", []string{"b"}), HaveField("Init.State", hostapi.InitRunning)))
	g.Expect(reads).To(Equal(1))

	driver.vm.Console = []string{"a", "b", "c"}
	g.Expect(told().Console).To(Equal([]string{"c"}))
	g.Expect(told().Console).To(Equal([]string{"c"}))
	g.Expect(reads).To(Equal(2))

	driver.vm.Console = nil
	g.Expect(told()).To(And(HaveField("Console", BeEmpty()), HaveField("Init", BeZero())), "a guest that begins anew")
}

func TestConsolesOfVMsThatAreGoneAreForgotten(t *testing.T) {
	for name, ask := range map[string]func(context.Context, discreet) error{
		"a VM is asked for": func(ctx context.Context, d discreet) error {
			_, err := d.GetVM(ctx, "vm-1")
			return err
		},
		"all VMs are asked for": func(ctx context.Context, d discreet) error {
			_, err := d.ListVMs(ctx)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			driver := &oneGuest{vm: hostapi.VM{Stamp: hostapi.Stamp{ID: "vm-1"}, Console: []string{"a"}}}
			d := newDiscreet(driver)
			_, err := d.GetVM(t.Context(), "vm-1")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(ask(t.Context(), d)).To(Succeed())
			g.Expect(d.consoles.last).To(HaveLen(1))
			driver.gone = true
			if err := ask(t.Context(), d); err != nil {
				g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
			}
			g.Expect(d.consoles.last).To(BeEmpty())
		})
	}
}
