package hypervmachine

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// etcd is what KubeadmControlPlane tells of a member.
type etcd metav1.ConditionStatus

const (
	works   = etcd(metav1.ConditionTrue)
	dead    = etcd(metav1.ConditionFalse)
	unheard = etcd(metav1.ConditionUnknown)
	// noNode is a machine that has not joined yet.
	noNode = etcd("")
)

// membersWith are the machines of a control plane, shop-0 first.
func membersWith(how ...etcd) []clusterv1.Machine {
	var all []clusterv1.Machine
	for i, is := range how {
		m := clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: fmt.Sprintf("shop-%d", i),
			Labels: map[string]string{clusterv1.ClusterNameLabel: "shop", clusterv1.MachineControlPlaneLabel: ""},
		}}
		m.Spec.InfrastructureRef.Name = m.Name
		if is != noNode {
			m.Status.NodeRef.Name = m.Name
			m.Status.Conditions = []metav1.Condition{
				{Type: controlplanev1.KubeadmControlPlaneMachineEtcdMemberHealthyCondition, Status: metav1.ConditionStatus(is)},
				{Type: clusterv1.MachineNodeReadyCondition, Status: metav1.ConditionStatus(is)},
			}
		}
		all = append(all, m)
	}
	return all
}

func TestAMemberThatStillWorksWaitsForOthersThatDoNot(t *testing.T) {
	for name, tc := range map[string]struct {
		members []etcd
		says    string
	}{
		"all others work":                             {members: []etcd{works, works, works}},
		"one of three is dead":                        {members: []etcd{works, dead, works}, says: "it works still, and without it 1 of 2 members of etcd would, which is no majority: Cluster API is asked to replace it once shop-1 is well again or replaced"},
		"of one of three nothing is known":            {members: []etcd{works, works, unheard}, says: "once shop-2 is well"},
		"one of five is dead, which is enough":        {members: []etcd{works, dead, works, works, works}},
		"two of five are dead":                        {members: []etcd{works, dead, dead, works, works}, says: "2 of 4 members of etcd would, which is no majority: Cluster API is asked to replace it once shop-1, shop-2 is well"},
		"the one that follows a dead one has no node": {members: []etcd{works, works, noNode}},
		"it is the only one":                          {members: []etcd{works}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			members := membersWith(tc.members...)
			says := firstOf(&members[0], members)
			if tc.says == "" {
				g.Expect(says).To(BeEmpty())
				return
			}
			g.Expect(says).To(ContainSubstring(tc.says))
		})
	}
}

func TestOnlyAMemberThatIsKnownToWorkWaitsForOthers(t *testing.T) {
	lasts, ends := &cause{lingers: true}, &cause{}
	for name, tc := range map[string]struct {
		c     *cause
		first etcd
		label string
		waits bool
	}{
		"one that works":             {c: lasts, first: works, label: clusterv1.MachineControlPlaneLabel, waits: true},
		"one that is dead":           {c: lasts, first: dead, label: clusterv1.MachineControlPlaneLabel},
		"one of which nothing known": {c: lasts, first: unheard, label: clusterv1.MachineControlPlaneLabel},
		"one whose VM is gone":       {c: ends, first: works, label: clusterv1.MachineControlPlaneLabel},
		"a worker":                   {c: lasts, first: works, label: capstanv1.NodePoolLabel},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			members := membersWith(tc.first, dead, works)
			members[0].Labels = map[string]string{clusterv1.ClusterNameLabel: "shop", tc.label: ""}
			var objects []client.Object
			for i := range members {
				objects = append(objects, &members[i])
			}
			r := &Reconciler{Client: testenv.NewUnsortedClient(t, objects...)}
			says, err := r.othersFirst(t.Context(), &evidence{machine: &members[0], cluster: &clusterv1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}}, tc.c)
			g.Expect(err).NotTo(HaveOccurred())
			if tc.waits {
				g.Expect(says).NotTo(BeEmpty())
			} else {
				g.Expect(says).To(BeEmpty())
			}
		})
	}
}

func TestAMemberWithAFaultThatStillWorksIsReckonedWithUntilItsTurn(t *testing.T) {
	g := NewWithT(t)
	e := ofVM(hostWith("hv1", testenv.Answering(ago(time.Hour)), testenv.WithFault("NoAccess", ago(time.Hour))))
	members := membersWith(dead, works, unheard)
	e.machine = &members[0]
	g.Expect(e.stays(&members[1], e.vm)).To(BeTrue())
	g.Expect(e.stays(&members[2], e.vm)).To(BeFalse())
	e.machine = &members[1]
	g.Expect(e.stays(&members[1], e.vm)).To(BeFalse(), "it is about this one")
}
