package hypervmachine

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
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
			machine := &clusterv1.Machine{Status: clusterv1.MachineStatus{Conditions: tc.says}}
			verdict := judge(machine, tc.members)
			g.Expect(verdict.message).To(HavePrefix(tc.first))
			if !tc.cannot {
				g.Expect(verdict.reason).To(BeEmpty())
				g.Expect(verdict.message).NotTo(ContainSubstring("restore"))
				return
			}
			g.Expect(verdict.reason).To(Equal(capstanv1.ReasonCannotRepair))
			g.Expect(verdict.message).To(ContainSubstring("restore the cluster from a backup"), "it names a way")
		})
	}
}
