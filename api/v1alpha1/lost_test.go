package v1alpha1_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestAHostIsLostOnlyIfNobodyElseCanHaveItsVMs(t *testing.T) {
	host := func(name, cluster string, lost bool) capstanv1.HyperVHost {
		h := capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: capstanv1.HyperVHostSpec{Lost: lost}}
		h.Status.FailoverCluster = cluster
		return h
	}
	unknown := host("hv9", "", false)
	known := host("hv3", "", false)
	known.Status.Memory = resource.NewQuantity(64<<30, resource.BinarySI)
	for name, tc := range map[string]struct {
		cluster string
		hosts   []capstanv1.HyperVHost
		want    bool
	}{
		"no host is known":                       {hosts: nil},
		"its host is well":                       {hosts: []capstanv1.HyperVHost{host("hv1", "", false)}},
		"its host is lost":                       {hosts: []capstanv1.HyperVHost{host("hv1", "", true), known}, want: true},
		"its host is gone":                       {hosts: []capstanv1.HyperVHost{known}},
		"another host is lost":                   {hosts: []capstanv1.HyperVHost{host("hv1", "", false), host("hv2", "", true)}},
		"a node of its failover cluster is lost": {cluster: "fc", hosts: []capstanv1.HyperVHost{host("hv1", "fc", true), host("hv2", "fc", false)}},
		"all of its failover cluster are lost":   {cluster: "fc", hosts: []capstanv1.HyperVHost{host("hv1", "fc", true), host("hv2", "fc", true), known}, want: true},
		"a host has not said where it belongs":   {cluster: "fc", hosts: []capstanv1.HyperVHost{host("hv1", "fc", true), unknown}},
		"a new host is of no failover cluster":   {hosts: []capstanv1.HyperVHost{host("hv1", "", true), unknown}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			vm := &capstanv1.VirtualMachine{Spec: capstanv1.VirtualMachineSpec{Placement: &capstanv1.Placement{Host: "hv1", FailoverCluster: tc.cluster}}}
			NewWithT(t).Expect(vm.IsOnLostHost(tc.hosts)).To(Equal(tc.want))
		})
	}
}
