package hypervmachine

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func TestRepairIsLeftToClusterAPIAsFarAsThatCanDoIt(t *testing.T) {
	refuses := func(reason, message string) []metav1.Condition {
		return []metav1.Condition{{Type: clusterv1.MachineOwnerRemediatedCondition, Status: metav1.ConditionFalse, Reason: reason, Message: message}}
	}
	const (
		refused  = controlplanev1.KubeadmControlPlaneMachineCannotBeRemediatedReason
		deferred = controlplanev1.KubeadmControlPlaneMachineRemediationDeferredReason
	)
	for name, tc := range map[string]struct {
		members membership
		says    []metav1.Condition
		cannot  bool
		first   string
	}{
		"a worker":                              {first: "Cluster API is asked"},
		"a worker that a roll-out takes":        {says: refuses(refused, "pending removal"), first: "Cluster API is asked to replace the machine: pending removal"},
		"one of three":                          {members: membership{3, 2}, first: "Cluster API is asked"},
		"one of three that waits for another":   {members: membership{3, 2}, says: refuses(deferred, "another goes"), first: "Cluster API is asked to replace the machine: another goes"},
		"one of three that must not go":         {members: membership{3, 2}, says: refuses(refused, "quorum"), cannot: true, first: "Cluster API refuses to replace the machine (quorum)"},
		"two of three":                          {members: membership{3, 1}, cannot: true, first: "1 of 3 members of etcd are left"},
		"two of five":                           {members: membership{5, 3}, first: "Cluster API is asked"},
		"three of five":                         {members: membership{5, 2}, cannot: true, first: "2 of 5 members of etcd are left"},
		"one of two":                            {members: membership{2, 1}, cannot: true, first: "1 of 2 members of etcd are left"},
		"the only one":                          {members: membership{1, 0}, cannot: true, first: "the machine is the only member"},
		"the first, which was never a member":   {members: membership{0, 0}, first: "Cluster API is asked"},
		"a second, which is not a member yet":   {members: membership{1, 1}, first: "Cluster API is asked"},
		"one of which Cluster API says it goes": {members: membership{3, 2}, says: refuses("x", ""), first: "Cluster API is asked"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			lost := &cause{reason: capstanv1.ReasonHostLost, status: metav1.ConditionUnknown, remedy: "bring the host back"}
			machine := &clusterv1.Machine{Status: clusterv1.MachineStatus{Conditions: tc.says}}
			verdict := judge(machine, lost, tc.members)
			g.Expect(verdict.message).To(HavePrefix(tc.first))
			if !tc.cannot {
				g.Expect(verdict.reason).To(Equal(capstanv1.ReasonHostLost))
				g.Expect(verdict.status).To(Equal(metav1.ConditionUnknown))
				g.Expect(verdict.message).NotTo(ContainSubstring("restore"))
				return
			}
			g.Expect(verdict.reason).To(Equal(capstanv1.ReasonCannotRepair))
			g.Expect(verdict.message).To(ContainSubstring("restore the cluster from a backup"), "it names a way")
		})
	}
}

func TestMembersThatGoAreNotLeft(t *testing.T) {
	now := metav1.Now()
	type fate struct {
		// goes tells that the Machine is being deleted.
		goes bool
		// gone tells that there is no VM, going that it is being deleted, and lost that its
		// host is.
		gone, going, lost bool
	}
	for name, tc := range map[string]struct {
		others []fate
		want   membership
	}{
		"two stay":                               {others: []fate{{}, {}}, want: membership{3, 2}},
		"one is lost, too":                       {others: []fate{{lost: true}, {}}, want: membership{3, 1}},
		"one is lost, and is to go":              {others: []fate{{goes: true, lost: true}, {}}, want: membership{3, 1}},
		"one is out of etcd, and its VM goes":    {others: []fate{{goes: true, going: true, lost: true}, {}}, want: membership{2, 1}},
		"one is out of etcd, and its VM is gone": {others: []fate{{goes: true, gone: true}, {}}, want: membership{2, 1}},
		"one is to go, and still answers":        {others: []fate{{goes: true}, {}, {}}, want: membership{4, 3}},
		"one has lost its VM":                    {others: []fate{{gone: true}, {}}, want: membership{3, 1}},
		"one loses its VM":                       {others: []fate{{going: true}, {}}, want: membership{3, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var objects []client.Object
			for i, of := range append([]fate{{lost: true}}, tc.others...) {
				meta := metav1.ObjectMeta{
					Namespace: "team", Name: fmt.Sprintf("shop-%d", i),
					Labels: map[string]string{clusterv1.ClusterNameLabel: "shop", clusterv1.MachineControlPlaneLabel: ""},
				}
				machine := &clusterv1.Machine{ObjectMeta: *meta.DeepCopy()}
				machine.Spec.InfrastructureRef.Name, machine.Status.NodeRef.Name = meta.Name, meta.Name
				vm := &capstanv1.VirtualMachine{ObjectMeta: *meta.DeepCopy(), Spec: capstanv1.VirtualMachineSpec{Placement: &capstanv1.Placement{Host: "well"}}}
				if of.lost {
					vm.Spec.Placement.Host = "lost"
				}
				if of.goes {
					machine.DeletionTimestamp, machine.Finalizers = &now, []string{"example.org/held"}
				}
				if of.going {
					vm.DeletionTimestamp, vm.Finalizers = &now, []string{"example.org/held"}
				}
				if objects = append(objects, machine); !of.gone {
					objects = append(objects, vm)
				}
			}
			hosts := []capstanv1.HyperVHost{*testenv.NewHyperVHost("well"), *testenv.NewHyperVHost("lost")}
			hosts[1].Spec.Lost = true
			e := &evidence{machine: objects[0].(*clusterv1.Machine), cluster: &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}, hosts: hosts}
			members, err := (&Reconciler{Client: testenv.NewUnsortedClient(t, objects...)}).membersLeft(t.Context(), e)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(members).To(Equal(tc.want))
		})
	}
}
