package capi

import (
	"context"
	"fmt"

	addonsv1 "sigs.k8s.io/cluster-api/api/addons/v1beta2"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/crdmigrator"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// setupMigrator sets up the migration of stored objects to the newest version of
// their kind, so that a later Cluster API can drop an old one. Upstream runs one
// migrator in each manager; its name is fixed, so here one does it all, and one
// object at a time so as not to flood the API server.
func setupMigrator(ctx context.Context, mgr ctrl.Manager, options Options) error {
	plain := crdmigrator.ByObjectConfig{}
	// Where there is a status, a write to it goes past the admission webhooks,
	// which might refuse what an older version let in.
	byStatus := crdmigrator.ByObjectConfig{UseStatusForStorageVersionMigration: true}

	if err := (&crdmigrator.CRDMigrator{
		Client:    mgr.GetClient(),
		APIReader: mgr.GetAPIReader(),
		Config: map[client.Object]crdmigrator.ByObjectConfig{
			&addonsv1.ClusterResourceSet{}:                byStatus,
			&addonsv1.ClusterResourceSetBinding{}:         plain,
			&bootstrapv1.KubeadmConfig{}:                  byStatus,
			&bootstrapv1.KubeadmConfigTemplate{}:          plain,
			&clusterv1.Cluster{}:                          byStatus,
			&clusterv1.Machine{}:                          byStatus,
			&clusterv1.MachineDeployment{}:                byStatus,
			&clusterv1.MachineDrainRule{}:                 plain,
			&clusterv1.MachineHealthCheck{}:               byStatus,
			&clusterv1.MachinePool{}:                      byStatus,
			&clusterv1.MachineSet{}:                       byStatus,
			&controlplanev1.KubeadmControlPlane{}:         byStatus,
			&controlplanev1.KubeadmControlPlaneTemplate{}: plain,
			&ipamv1.IPAddress{}:                           plain,
			&ipamv1.IPAddressClaim{}:                      byStatus,
		},
	}).SetupWithManager(ctx, mgr, options.promptly(1)); err != nil {
		return fmt.Errorf("setting up the CRD migrator: %w", err)
	}
	return nil
}
