package hypervmachine_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// newControlPlane makes a control plane, watched by a MachineHealthCheck, with its members
// on the hosts in turn.
func newControlPlane(ctx context.Context, replicas int, hosts ...*capstanv1.HyperVHost) *crew {
	first := newTrio(ctx, nil)
	kcp := &controlplanev1.KubeadmControlPlane{
		ObjectMeta: metav1.ObjectMeta{Namespace: first.machine.Namespace, Name: "shop-control-plane"},
		Spec: controlplanev1.KubeadmControlPlaneSpec{
			Replicas: ptr.To(int32(replicas)), Version: testenv.Version,
			MachineTemplate: controlplanev1.KubeadmControlPlaneMachineTemplate{Spec: controlplanev1.KubeadmControlPlaneMachineTemplateSpec{
				InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: infrav1.GroupVersion.Group, Kind: "HyperVMachineTemplate", Name: "shop"},
			}},
			KubeadmConfigSpec: bootstrapv1.KubeadmConfigSpec{},
		},
	}
	env.Create(ctx, kcp)
	first.watch(ctx, "shop", member)
	labels := map[string]string{clusterv1.ClusterNameLabel: "shop", clusterv1.MachineControlPlaneLabel: ""}
	return first.crew(ctx, labels, metav1.NewControllerRef(kcp, controlplanev1.GroupVersion.WithKind("KubeadmControlPlane")), replicas, hosts...)
}

var _ = Describe("The members of a control plane on a host that is being drained", func() {
	It("are replaced one at a time, while all others are ready", func(ctx SpecContext) {
		host := newHost(ctx)
		c := newControlPlane(ctx, 3, host)
		setAvailable(ctx, c.machines[2], false)
		drain(ctx, host, capstanv1.MaintenanceDrain)
		c.expectAsked(ctx, 2, capstanv1.ReasonHostDraining, "is being drained")
		c.expectWaits(ctx, 0, capstanv1.ReasonWaitingForTurn, "waiting for shop-c to go")
		c.expectWaits(ctx, 1, capstanv1.ReasonWaitingForTurn, "waiting for shop-c to go")
		c.goes(ctx, 2)
		c.expectWaits(ctx, 0, capstanv1.ReasonWaitingForTurn, "there are 2 of 3")
	})

	It("are asked for no more while another one fails, so that this one is not waited for", func(ctx SpecContext) {
		host, other, lost := newHost(ctx), newHost(ctx), newHost(ctx)
		c := newControlPlane(ctx, 3, host, other, lost)
		drain(ctx, host, capstanv1.MaintenanceDrain)
		c.expectAsked(ctx, 0, capstanv1.ReasonHostDraining, "is being drained")
		setAvailable(ctx, c.machines[1], false)
		c.expectWaits(ctx, 0, capstanv1.ReasonWaitingForTurn, "waiting for shop-b to be ready")
		setAvailable(ctx, c.machines[1], true)
		c.expectAsked(ctx, 0, capstanv1.ReasonHostDraining, "is being drained")

		By("a cause coming up for another one, which goes first")
		declareLost(ctx, lost, true)
		tellLost(ctx, c.vms[2])
		Eventually(c.asked(ctx, 2)).Should(Equal(capstanv1.ReasonHostLost))
		c.expectWaits(ctx, 0, capstanv1.ReasonWaitingForTurn, "waiting for shop-c to go")
	})

	It("are asked for by what somebody else wrote, whoever fails", func(ctx SpecContext) {
		c := newControlPlane(ctx, 3, newHost(ctx))
		testenv.Update(ctx, env, c.machines[0], func(m *clusterv1.Machine) {
			metav1.SetMetaDataAnnotation(&m.ObjectMeta, clusterv1.RemediateMachineAnnotation, "by hand")
		})
		c.want(ctx, 0, "first")
		env.ExpectCondition(ctx, c.infra[0], capstanv1.ReplacingCondition, metav1.ConditionTrue, capstanv1.ReasonReplaceRequested, ContainSubstring("first"))
		setAvailable(ctx, c.machines[1], false)
		c.want(ctx, 0, "second")
		env.ExpectCondition(ctx, c.infra[0], capstanv1.ReplacingCondition, metav1.ConditionTrue, capstanv1.ReasonReplaceRequested, ContainSubstring("second"))
		Expect(c.asked(ctx, 0)()).To(Equal("by hand"))
	})

	It("go for what is wrong with them once something is", func(ctx SpecContext) {
		lost, other := newHost(ctx), newHost(ctx)
		c := newControlPlane(ctx, 3, lost, other, other)
		c.want(ctx, 0, "")
		c.expectAsked(ctx, 0, capstanv1.ReasonReplaceRequested, "asks for another machine")
		declareLost(ctx, lost, true)
		tellLost(ctx, c.vms[0])
		Eventually(c.asked(ctx, 0)).Should(Equal(capstanv1.ReasonHostLost))
	})
})

var _ = Describe("A member of a control plane with a disk on a volume that has a fault", func() {
	It("waits for one that has died as long as it works itself", func(ctx SpecContext) {
		host, other := newHost(ctx), newHost(ctx)
		others(ctx)
		tell(ctx, other, answers)
		c := newControlPlane(ctx, 3, host, other, other)
		for i := range c.machines {
			c.etcd(ctx, i, metav1.ConditionTrue)
		}
		tell(ctx, host, hasFault("NoAccess"))
		Eventually(c.asked(ctx, 0)).Should(Equal(capstanv1.ReasonVolumeFault))

		c.etcd(ctx, 1, metav1.ConditionUnknown)
		env.ExpectCondition(ctx, c.infra[0], capstanv1.ReadyCondition, metav1.ConditionFalse, capstanv1.ReasonVolumeFault,
			ContainSubstring("Cluster API is asked to replace it once shop-b is well again or replaced"))
		Expect(c.asked(ctx, 0)()).To(BeEmpty())

		c.etcd(ctx, 1, metav1.ConditionTrue)
		Eventually(c.asked(ctx, 0)).Should(Equal(capstanv1.ReasonVolumeFault))
	})
})

// etcd is what KubeadmControlPlane tells of a member whose node is ready.
func (c *crew) etcd(ctx context.Context, i int, status metav1.ConditionStatus) {
	testenv.UpdateStatus(ctx, env, c.machines[i], func(m *clusterv1.Machine) {
		conditions.True(m, clusterv1.MachineNodeReadyCondition, clusterv1.MachineNodeReadyReason, "")
		meta.SetStatusCondition(&m.Status.Conditions, metav1.Condition{
			Type: controlplanev1.KubeadmControlPlaneMachineEtcdMemberHealthyCondition, Status: status, Reason: "Told",
		})
	})
}
