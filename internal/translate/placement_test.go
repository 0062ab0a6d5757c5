package translate_test

import (
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/translate"
)

func TestPlacementRulesReachTheMachines(t *testing.T) {
	g := NewWithT(t)
	members, nodes := &capstanv1.PlacementRules{Apart: capstanv1.ApartRequired}, &capstanv1.PlacementRules{ExcludedVolumes: []string{"csv1"}}
	wlc := newCluster()
	before, without := translate.ControlPlane(wlc, translate.InEffect{})
	wlc.Spec.ControlPlane.Placement = members
	after, with := translate.ControlPlane(wlc, translate.InEffect{})
	g.Expect(without.Spec.Template.Spec.Placement).To(BeNil())
	g.Expect(with.Spec.Template.Spec.Placement).To(Equal(members))
	g.Expect(after.Spec.MachineTemplate.Spec.InfrastructureRef).NotTo(Equal(before.Spec.MachineTemplate.Spec.InfrastructureRef), "a change rolls the machines")

	wlc.Spec.LoadBalancer.Placement = members
	g.Expect(translate.HyperVCluster(wlc, translate.InEffect{}).Spec.LoadBalancer.Placement).To(Equal(members))

	pool := newPool()
	pool.Spec.Placement = nodes
	g.Expect(translate.NodePool(wlc, pool, "v1.36.3", translate.NodeImage{}).MachineTemplate.Spec.Template.Spec.Placement).To(Equal(nodes))
}
