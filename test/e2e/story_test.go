package main

import (
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

func vm(name string, role capstanv1.VMRole) capstanv1.VirtualMachine {
	v := capstanv1.VirtualMachine{}
	v.Name, v.Spec.Role = name, role
	return v
}

func TestTheClusterIsNeverWithoutWhatItNeedsWhileGuestsBoot(t *testing.T) {
	g := NewWithT(t)
	var turns [][]string
	for _, group := range inTurn([]capstanv1.VirtualMachine{
		vm("cp1", capstanv1.RoleControlPlane), vm("lb1", capstanv1.RoleLoadBalancer), vm("w1", capstanv1.RoleWorker),
		vm("cp2", capstanv1.RoleControlPlane), vm("lb2", capstanv1.RoleLoadBalancer), vm("w2", capstanv1.RoleWorker),
	}, "lb2") {
		turns = append(turns, names(group))
	}
	g.Expect(turns).To(Equal([][]string{{"lb1", "w1", "w2"}, {"cp1"}, {"cp2"}, {"lb2"}}))
	g.Expect(inTurn(nil, "")).To(BeEmpty())
}

func TestByHandFlannelIsWhatCapstanInstalls(t *testing.T) {
	g := NewWithT(t)
	manifest, err := flannelManifest()
	g.Expect(err).NotTo(HaveOccurred())
	daemon, plugin := addons.FlannelImages(nil)
	g.Expect(manifest).To(And(ContainSubstring(daemon), ContainSubstring(plugin), ContainSubstring(handPods)))
}

func TestOfTheAddressesOfAGuestVirtualOnesMove(t *testing.T) {
	g := NewWithT(t)
	printed := "2: eth0    inet 10.213.1.1/16 brd 10.213.255.255 scope global eth0\\       valid_lft forever\n" +
		"2: eth0    inet 10.213.100.1/32 scope global eth0\\       valid_lft forever\n2: eth0    inet 10.213.7.7/16 scope global secondary eth0\n"
	g.Expect(addressesIn(printed, []string{"10.213.100.1"})).To(Equal([]string{"10.213.1.1", "10.213.7.7"}))
	g.Expect(addressesIn("", nil)).To(BeEmpty())
}
