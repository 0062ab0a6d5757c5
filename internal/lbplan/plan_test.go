package lbplan_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbapitest"
	"github.com/capstan-k8s/capstan/internal/lbplan"
)

func newInput(with ...func(*lbplan.Input)) lbplan.Input {
	in := lbplan.Input{
		Generation: 3, Cluster: "default/shop",
		VIPs:     []lbapi.VIP{{Address: "192.0.2.100", Network: "192.0.2.0/24", VRID: 5}},
		VMs:      []lbplan.VM{{Name: "shop-lb-b", Address: "192.0.2.3"}, {Name: "shop-lb-a", Address: "192.0.2.2"}},
		API:      lbplan.API{VIP: "192.0.2.100", Port: 6443, CA: []byte(lbapitest.CA())},
		Machines: []lbplan.Machine{{Name: "shop-cp-0", Address: "192.0.2.10", State: lbplan.Ready}},
	}
	for _, f := range with {
		f(&in)
	}
	return in
}

// anyInput draws load balancers of every size and state.
func anyInput() *rapid.Generator[lbplan.Input] {
	return rapid.Custom(func(t *rapid.T) lbplan.Input {
		in := newInput(func(in *lbplan.Input) { in.VMs, in.Machines = nil, nil })
		for i := range rapid.IntRange(1, 16).Draw(t, "vms") {
			vm := lbplan.VM{Name: fmt.Sprintf("lb-%d", i)}
			if rapid.IntRange(0, 3).Draw(t, "addressed") > 0 {
				vm.Address = fmt.Sprintf("192.0.2.%d", 2+i)
			}
			in.VMs = append(in.VMs, vm)
		}
		for i := range rapid.IntRange(0, 7).Draw(t, "machines") {
			m := lbplan.Machine{Name: fmt.Sprintf("cp-%d", i), State: rapid.SampledFrom([]lbplan.State{lbplan.Joining, lbplan.Ready, lbplan.Leaving, lbplan.Left}).Draw(t, "state")}
			if rapid.IntRange(0, 3).Draw(t, "addressed") > 0 {
				m.Address = fmt.Sprintf("192.0.2.%d", 50+i)
			}
			in.Machines = append(in.Machines, m)
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "sources") {
			in.API.AllowedSources = append(in.API.AllowedSources, fmt.Sprintf("10.%d.0.0/16", i))
		}
		return in
	})
}

func TestOnePlanForEachVM(t *testing.T) {
	g := NewWithT(t)
	plans, err := lbplan.Compute(newInput())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(plans.VMs).To(HaveLen(2))
	g.Expect([]string{plans.VMs[0].Self, plans.VMs[1].Self}).To(Equal([]string{"shop-lb-a", "shop-lb-b"}))
	g.Expect(plans.VMs[0].Generation).To(Equal(int64(3)))
	f := plans.VMs[0].Frontends[0]
	g.Expect(f.Name).To(Equal(lbplan.APIFrontend))
	g.Expect(f.Backends).To(Equal([]lbapi.Backend{{Name: "shop-cp-0", Address: "192.0.2.10", Port: 6443}}))
	g.Expect(f.Check.Kind).To(Equal(lbapi.CheckTLSReadyz))
}

func TestPlansAreValidWholeAndAlikeButForSelf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewWithT(t)
		in := anyInput().Draw(t, "input")
		plans, err := lbplan.Compute(in)
		g.Expect(err).NotTo(HaveOccurred())
		addressed := map[string]string{}
		for _, vm := range in.VMs {
			if vm.Address != "" {
				addressed[vm.Name] = vm.Address
			}
		}
		g.Expect(plans.VMs).To(HaveLen(len(addressed)))
		for _, p := range plans.VMs {
			g.Expect(lbapi.Validate(p)).To(BeEmpty())
			peers := map[string]string{}
			for _, peer := range p.Peers {
				peers[peer.Name] = peer.Address
			}
			g.Expect(peers).To(Equal(addressed))
			p.Self = plans.VMs[0].Self
			g.Expect(p).To(Equal(plans.VMs[0]))
		}
	})
}

func TestTheOrderOfTheInputMeansNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := anyInput().Draw(t, "input")
		shuffled := in
		shuffled.VMs = rapid.Permutation(in.VMs).Draw(t, "vms")
		shuffled.Machines = rapid.Permutation(in.Machines).Draw(t, "machines")
		shuffled.API.AllowedSources = rapid.Permutation(in.API.AllowedSources).Draw(t, "sources")
		a, errA := lbplan.Compute(in)
		b, errB := lbplan.Compute(shuffled)
		if errA != nil || errB != nil || !reflect.DeepEqual(a, b) {
			t.Fatalf("plans differ: %v %v\n%v\n%v", errA, errB, a, b)
		}
	})
}

func TestTheHashIsOfTheContent(t *testing.T) {
	g := NewWithT(t)
	hash := func(with ...func(*lbplan.Input)) string {
		plans, err := lbplan.Compute(newInput(with...))
		g.Expect(err).NotTo(HaveOccurred())
		return plans.Hash
	}
	g.Expect(hash(func(in *lbplan.Input) { in.Generation++ })).To(Equal(hash()))
	g.Expect(hash(func(in *lbplan.Input) { in.Machines = nil })).NotTo(Equal(hash()))
	g.Expect(hash(func(in *lbplan.Input) { in.VMs = in.VMs[:1] })).NotTo(Equal(hash()))
}

func TestLeavingMachinesAreDrainedAndLeftOutButNeverTheLast(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewWithT(t)
		in := anyInput().Draw(t, "input")
		in.VMs = []lbplan.VM{{Name: "lb", Address: "192.0.2.2"}}
		plans, err := lbplan.Compute(in)
		g.Expect(err).NotTo(HaveOccurred())
		drained := map[string]bool{}
		for _, b := range plans.VMs[0].Frontends[0].Backends {
			drained[b.Name] = b.Drain
		}
		ready := 0
		for _, m := range in.Machines {
			if m.State == lbplan.Ready && m.Address != "" {
				ready++
			}
		}
		g.Expect(lbplan.HasSpare(in.Machines)).To(Equal(ready > 0))
		for _, m := range in.Machines {
			drain, listed := drained[m.Name]
			g.Expect(listed).To(Equal(m.Address != "" && (m.State != lbplan.Left || ready == 0)), m.Name)
			g.Expect(drain).To(Equal(listed && m.State == lbplan.Leaving && ready > 0), m.Name)
		}
	})
}

func TestWithoutTheClustersCATheVIPIsHeldAndNothingIsCarried(t *testing.T) {
	g := NewWithT(t)
	plans, err := lbplan.Compute(newInput(func(in *lbplan.Input) { in.API.CA = nil }))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(plans.VMs[0].VIPs).To(HaveLen(1))
	g.Expect(plans.VMs[0].Frontends).To(BeEmpty())
}

func TestHowTheCAIsWrittenMeansNothing(t *testing.T) {
	g := NewWithT(t)
	a, err := lbplan.Compute(newInput())
	g.Expect(err).NotTo(HaveOccurred())
	b, err := lbplan.Compute(newInput(func(in *lbplan.Input) { in.API.CA = append([]byte("# cluster CA\r\n"), lbapitest.CA()...) }))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(b).To(Equal(a))
}

func TestComputeRefusesWhatAVMWouldRefuse(t *testing.T) {
	for name, tt := range map[string]struct {
		with func(*lbplan.Input)
		want string
	}{
		"two machines at one address": {func(in *lbplan.Input) {
			in.Machines = append(in.Machines, lbplan.Machine{Name: "other", Address: in.Machines[0].Address})
		}, "frontends[0].backends"},
		"hostile machine name": {func(in *lbplan.Input) { in.Machines[0].Name = "a\nserver b" }, "backends[0].name"},
		"VM elsewhere":         {func(in *lbplan.Input) { in.VMs[0].Address = "198.51.100.1" }, "peers[1].address"},
		"unknown VIP":          {func(in *lbplan.Input) { in.API.VIP = "192.0.2.101" }, "frontends[0].vip"},
		"no generation":        {func(in *lbplan.Input) { in.Generation = 0 }, "generation"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := lbplan.Compute(newInput(tt.with))
			g.Expect(err).To(MatchError(ContainSubstring(tt.want)))
			var typed *lbapi.Error
			g.Expect(errors.As(err, &typed)).To(BeTrue())
			g.Expect(typed.Faults).NotTo(BeEmpty())
		})
	}
	_, err := lbplan.Compute(newInput(func(in *lbplan.Input) { in.API.CA = []byte("nonsense") }))
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("CA")))
}

func TestWhoResignsIsGivenNoVIPAndKnowsAllPeers(t *testing.T) {
	g := NewWithT(t)
	stays, err := lbplan.Compute(newInput())
	g.Expect(err).NotTo(HaveOccurred())
	resigns, err := lbplan.Compute(newInput(func(in *lbplan.Input) { in.VMs[0].Resigns = true }))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(resigns.Hash).NotTo(Equal(stays.Hash), "one number must not have two contents")
	g.Expect(resigns.VMs).To(HaveLen(2))
	for i, plan := range resigns.VMs {
		g.Expect(lbapi.Validate(plan)).To(BeEmpty())
		g.Expect(plan.Peers).To(HaveLen(2), "it may hold the VIP until it has heard")
		if plan.Self == "shop-lb-b" {
			g.Expect(plan.VIPs).To(BeEmpty())
			g.Expect(plan.Frontends).To(BeEmpty())
		} else {
			g.Expect(plan.VIPs).To(Equal(stays.VMs[i].VIPs))
			g.Expect(plan.Frontends).To(Equal(stays.VMs[i].Frontends))
		}
	}
}

func TestTheLastByNameMayResign(t *testing.T) {
	g := NewWithT(t)
	before, err := lbplan.Compute(newInput())
	g.Expect(err).NotTo(HaveOccurred())
	for i := range 2 {
		after, err := lbplan.Compute(newInput(func(in *lbplan.Input) { in.VMs[i].Resigns = true }))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(after.Hash).NotTo(Equal(before.Hash))
	}
}
