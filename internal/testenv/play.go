package testenv

import (
	"context"

	"github.com/onsi/gomega"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// SettleMachines plays the part of Cluster API's controller: it tells of a
// MachineDeployment what that one does once all machines are as its spec says.
func SettleMachines(ctx context.Context, e *Env, md *clusterv1.MachineDeployment) {
	settle := func(md *clusterv1.MachineDeployment) {
		all := ptr.To(*md.Spec.Replicas)
		md.Status.ObservedGeneration = md.Generation
		md.Status.Replicas, md.Status.ReadyReplicas, md.Status.AvailableReplicas, md.Status.UpToDateReplicas = all, all, all, all
	}
	gomega.ExpectWithOffset(1, patchStatus(ctx, e, md, settle)).To(gomega.Succeed())
}
