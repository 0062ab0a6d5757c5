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

func TestAVMIsSilentSinceTheLastOfItsHostsFellSilent(t *testing.T) {
	early, late := metav1.Unix(1000, 0), metav1.Unix(2000, 0)
	host := func(name, cluster string, status metav1.ConditionStatus, reason string, since metav1.Time) capstanv1.HyperVHost {
		h := capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: name}}
		h.Status.FailoverCluster, h.Status.Memory = cluster, resource.NewQuantity(64<<30, resource.BinarySI)
		h.Status.Conditions = []metav1.Condition{{Type: capstanv1.AgentConnectedCondition, Status: status, Reason: reason, LastTransitionTime: since}}
		return h
	}
	silent := func(name, cluster string, since metav1.Time) capstanv1.HyperVHost {
		return host(name, cluster, metav1.ConditionFalse, capstanv1.ReasonHostUnreachable, since)
	}
	lost, unknown := silent("hv2", "fc", late), silent("hv9", "", early)
	lost.Spec.Lost, unknown.Status.Memory = true, nil
	for name, tc := range map[string]struct {
		cluster string
		hosts   []capstanv1.HyperVHost
		want    metav1.Time
	}{
		"no host is known":                         {},
		"its host is silent":                       {hosts: []capstanv1.HyperVHost{silent("hv1", "", early), host("hv2", "", metav1.ConditionTrue, "", late)}, want: early},
		"its host answers":                         {hosts: []capstanv1.HyperVHost{host("hv1", "", metav1.ConditionTrue, capstanv1.ReasonConnected, early)}},
		"its host does not let us in":              {hosts: []capstanv1.HyperVHost{host("hv1", "", metav1.ConditionFalse, capstanv1.ReasonAgentCertificateMismatch, early)}},
		"both of its failover cluster are silent":  {cluster: "fc", hosts: []capstanv1.HyperVHost{silent("hv1", "fc", late), silent("hv2", "fc", early)}, want: late},
		"one of its failover cluster answers":      {cluster: "fc", hosts: []capstanv1.HyperVHost{silent("hv1", "fc", early), host("hv2", "fc", metav1.ConditionTrue, "", early)}},
		"the other is declared lost":               {cluster: "fc", hosts: []capstanv1.HyperVHost{silent("hv1", "fc", early), lost}, want: early},
		"another may turn out to be a node of it":  {cluster: "fc", hosts: []capstanv1.HyperVHost{silent("hv1", "fc", early), unknown}},
		"its host was never asked":                 {hosts: []capstanv1.HyperVHost{{ObjectMeta: metav1.ObjectMeta{Name: "hv1"}}}},
		"the host that is declared lost is enough": {cluster: "fc", hosts: []capstanv1.HyperVHost{lost}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			vm := &capstanv1.VirtualMachine{Spec: capstanv1.VirtualMachineSpec{Placement: &capstanv1.Placement{Host: "hv1", FailoverCluster: tc.cluster}}}
			since, is := vm.SilentSince(tc.hosts)
			g.Expect(is).To(Equal(!tc.want.IsZero()))
			g.Expect(since).To(Equal(tc.want.Time))
		})
	}
}
