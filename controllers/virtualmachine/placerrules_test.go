package virtualmachine

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/placement"
)

func TestAVMIsPlacedByItsRules(t *testing.T) {
	north, south := host("hv1", "64Gi"), host("hv2", "64Gi")
	north.Labels, south.Labels = map[string]string{"site": "north"}, map[string]string{"site": "south"}
	for i := range south.Status.Volumes {
		south.Status.Volumes[i].Name = "csv2"
	}
	hosts := []capstanv1.HyperVHost{north, south}
	site := func(operator metav1.LabelSelectorOperator, values ...string) *metav1.LabelSelector {
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "site", Operator: operator, Values: values}}}
	}
	for name, tc := range map[string]struct {
		rules  capstanv1.PlacementRules
		want   string
		reason placement.Reason
	}{
		"label":                {rules: capstanv1.PlacementRules{HostSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"site": "south"}}}, want: "hv2"},
		"expression":           {rules: capstanv1.PlacementRules{HostSelector: site(metav1.LabelSelectorOpNotIn, "north")}, want: "hv2"},
		"volume":               {rules: capstanv1.PlacementRules{Volumes: []string{"csv2"}}, want: "hv2"},
		"excluded volume":      {rules: capstanv1.PlacementRules{ExcludedVolumes: []string{"csv1"}}, want: "hv2"},
		"label that none has":  {rules: capstanv1.PlacementRules{HostSelector: site(metav1.LabelSelectorOpDoesNotExist)}, reason: placement.HostNotSelected},
		"volume that is none":  {rules: capstanv1.PlacementRules{Volumes: []string{"csv9"}}, reason: placement.VolumeNotSelected},
		"apart from the other": {rules: capstanv1.PlacementRules{Apart: capstanv1.ApartRequired, HostSelector: site(metav1.LabelSelectorOpIn, "south")}, reason: placement.NotApart},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			other := machine("other")
			other.Spec.Group, other.Spec.Placement = "pool", &capstanv1.Placement{
				Host: "hv2", Disks: []capstanv1.DiskPlacement{{Name: bootDisk, Volume: "csv2"}},
			}
			vm := machine("a")
			vm.Spec.Group, vm.Spec.PlacementRules = "pool", &tc.rules
			decision, err := newPlacer(never).place(vm, asked(vm), hosts, []capstanv1.VirtualMachine{*other, *vm})
			if tc.reason != "" {
				g.Expect(err).To(HaveField("Reason", tc.reason))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(decision.Host).To(Equal(tc.want))
		})
	}
}

func TestHowFullThingsMayGetIsForTheAdministrator(t *testing.T) {
	g := NewWithT(t)
	first, second := host("hv1", "8Gi"), host("hv2", "8Gi")
	first.Status.FailoverCluster, second.Status.FailoverCluster = "fc1", "fc1"
	for i := range first.Status.Volumes {
		first.Status.Volumes[i].Provisioned = first.Status.Volumes[i].Capacity
	}
	hosts := []capstanv1.HyperVHost{first, second}
	there := machine("there")
	there.Spec.Placement = &capstanv1.Placement{Host: "hv1", FailoverCluster: "fc1"}
	vm := machine("a")
	vms := []capstanv1.VirtualMachine{*there, *vm}

	p := newPlacer(never)
	_, err := p.place(vm, asked(vm), hosts, vms)
	g.Expect(err).To(HaveField("Reason", placement.NoSpareHost))
	p.policy.NoSpareHost = true
	_, err = p.place(vm, asked(vm), hosts, vms)
	g.Expect(err).To(HaveField("Reason", placement.OutOfStorage))
	p.policy.StorageOvercommit = 2
	decision, err := p.place(vm, asked(vm), hosts, vms)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(decision.Host).To(Equal("hv2"))
}

func TestSpreadWeightIsInPercent(t *testing.T) {
	g := NewWithT(t)
	for _, tc := range []struct {
		rules *capstanv1.PlacementRules
		want  float64
	}{
		{nil, placement.DefaultSpreadWeight},
		{&capstanv1.PlacementRules{}, placement.DefaultSpreadWeight},
		{&capstanv1.PlacementRules{SpreadWeight: ptr.To[int32](0)}, 0},
		{&capstanv1.PlacementRules{SpreadWeight: ptr.To[int32](100)}, 1},
	} {
		req := placement.Request{}
		obey(&req, tc.rules)
		g.Expect(req.SpreadWeight).To(Equal(tc.want))
	}
}
