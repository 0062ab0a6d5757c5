package capi

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/logutil"
	"go.uber.org/zap/zapcore"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/reconcilers/kubeadmconfig"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/controlplane/kubeadm/reconcilers/kubeadmcontrolplane"
	"sigs.k8s.io/cluster-api/core/reconcilers/cluster"
	"sigs.k8s.io/cluster-api/core/reconcilers/clusterresourceset"
	"sigs.k8s.io/cluster-api/core/reconcilers/clusterresourcesetbinding"
	"sigs.k8s.io/cluster-api/core/reconcilers/machine"
	"sigs.k8s.io/cluster-api/core/reconcilers/machinedeployment"
	"sigs.k8s.io/cluster-api/core/reconcilers/machinehealthcheck"
	"sigs.k8s.io/cluster-api/core/reconcilers/machinepool"
	"sigs.k8s.io/cluster-api/core/reconcilers/machineset"
	"sigs.k8s.io/cluster-api/core/setup"
	"sigs.k8s.io/cluster-api/util/index"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
)

// controlPlaneTimeout bounds one reconcile of a control plane: it asks every etcd
// member in turn, and each may take its whole time-out.
const controlPlaneTimeout = 3 * time.Minute

// SetupReconcilers adds the field indexes and every reconciler of Cluster API to
// a manager that ConfigureManager has configured. It returns the ClusterCache:
// there can be only one in a manager, so our own controllers use this one.
func SetupReconcilers(ctx context.Context, mgr ctrl.Manager, options Options) (clustercache.ClusterCache, error) {
	options = options.withDefaults()
	if err := index.AddDefaultIndexes(ctx, mgr); err != nil {
		return nil, fmt.Errorf("adding the field indexes of Cluster API: %w", err)
	}
	secrets, err := setup.CreateSecretCachingClient(mgr)
	if err != nil {
		return nil, fmt.Errorf("making the client that caches secrets: %w", err)
	}
	clusters, err := setupClusterCache(ctx, mgr, secrets, options)
	if err != nil {
		return nil, err
	}

	if err := setupMigrator(ctx, mgr, options); err != nil {
		return nil, err
	}
	api := joinStatuses(mgr.GetClient())
	if err := setupCore(ctx, mgr, api, clusters, options); err != nil {
		return nil, err
	}
	if err := setupClusterResourceSets(ctx, mgr, api, clusters, options); err != nil {
		return nil, err
	}
	if err := setupKubeadm(ctx, mgr, api, clusters, secrets, options); err != nil {
		return nil, err
	}
	return clusters, nil
}

func setupCore(ctx context.Context, mgr ctrl.Manager, api client.Client, clusters clustercache.ClusterCache, options Options) error {
	if err := (&cluster.Reconciler{
		Client:                      api,
		APIReader:                   mgr.GetAPIReader(),
		ClusterCache:                clusters,
		RemoteConnectionGracePeriod: options.RemoteConnectionGracePeriod,
	}).SetupWithManager(ctx, mgr, options.controller(options.Concurrency.Cluster)); err != nil {
		return fmt.Errorf("setting up the Cluster reconciler: %w", err)
	}
	if err := (&machine.Reconciler{
		Client:                           api,
		APIReader:                        mgr.GetAPIReader(),
		ClusterCache:                     clusters,
		RemoteConditionsGracePeriod:      options.RemoteConditionsGracePeriod,
		AdditionalSyncMachineLabels:      nodeMetadata(),
		AdditionalSyncMachineAnnotations: nodeMetadata(),
	}).SetupWithManager(ctx, mgr, options.controller(options.Concurrency.Machine)); err != nil {
		return fmt.Errorf("setting up the Machine reconciler: %w", err)
	}
	if err := (&machineset.Reconciler{
		Client:          api,
		APIReader:       mgr.GetAPIReader(),
		ClusterCache:    clusters,
		PreflightChecks: sets.New(clusterv1.MachineSetPreflightCheckAll),
	}).SetupWithManager(ctx, mgr, options.controller(options.Concurrency.MachineSet)); err != nil {
		return fmt.Errorf("setting up the MachineSet reconciler: %w", err)
	}
	if err := (&machinedeployment.Reconciler{
		Client:    api,
		APIReader: mgr.GetAPIReader(),
	}).SetupWithManager(ctx, mgr, options.controller(options.Concurrency.MachineDeployment)); err != nil {
		return fmt.Errorf("setting up the MachineDeployment reconciler: %w", err)
	}
	if err := (&machinepool.Reconciler{
		Client:       api,
		APIReader:    mgr.GetAPIReader(),
		ClusterCache: clusters,
	}).SetupWithManager(ctx, mgr, options.controller(options.Concurrency.MachinePool)); err != nil {
		return fmt.Errorf("setting up the MachinePool reconciler: %w", err)
	}
	if err := (&machinehealthcheck.Reconciler{
		Client:       api,
		ClusterCache: clusters,
	}).SetupWithManager(ctx, mgr, options.controller(options.Concurrency.MachineHealthCheck)); err != nil {
		return fmt.Errorf("setting up the MachineHealthCheck reconciler: %w", err)
	}
	return nil
}

func setupClusterResourceSets(ctx context.Context, mgr ctrl.Manager, api client.Client, clusters clustercache.ClusterCache, options Options) error {
	metadata, err := setupSecretMetadataCache(mgr)
	if err != nil {
		return err
	}
	if err := (&clusterresourceset.Reconciler{
		Client:       api,
		ClusterCache: clusters,
	}).SetupWithManager(ctx, mgr, options.controller(options.Concurrency.ClusterResourceSet), metadata); err != nil {
		return fmt.Errorf("setting up the ClusterResourceSet reconciler: %w", err)
	}
	if err := (&clusterresourcesetbinding.Reconciler{
		Client: api,
	}).SetupWithManager(ctx, mgr, options.controller(options.Concurrency.ClusterResourceSet)); err != nil {
		return fmt.Errorf("setting up the ClusterResourceSetBinding reconciler: %w", err)
	}
	return nil
}

func setupKubeadm(ctx context.Context, mgr ctrl.Manager, api client.Client, clusters clustercache.ClusterCache, secrets client.Client, options Options) error {
	if err := (&kubeadmconfig.Reconciler{
		Client:              api,
		SecretCachingClient: secrets,
		APIReader:           mgr.GetAPIReader(),
		ClusterCache:        clusters,
		TokenTTL:            options.BootstrapTokenTTL,
	}).SetupWithManager(ctx, mgr, options.controller(options.Concurrency.KubeadmConfig)); err != nil {
		return fmt.Errorf("setting up the KubeadmConfig reconciler: %w", err)
	}

	etcdLogger, err := logutil.CreateDefaultZapLogger(zapcore.WarnLevel)
	if err != nil {
		return fmt.Errorf("making the logger of etcd's client: %w", err)
	}
	controlPlanes := options.controller(options.Concurrency.KubeadmControlPlane)
	controlPlanes.ReconciliationTimeout = controlPlaneTimeout
	if err := (&kubeadmcontrolplane.Reconciler{
		Client:                      api,
		APIReader:                   mgr.GetAPIReader(),
		SecretCachingClient:         secrets,
		ClusterCache:                &healthRounds{ClusterCache: clusters, controlPlanes: mgr.GetClient(), clock: clock.RealClock{}},
		EtcdDialTimeout:             options.EtcdDialTimeout,
		EtcdCallTimeout:             options.EtcdCallTimeout,
		EtcdLogger:                  etcdLogger,
		RemoteConditionsGracePeriod: options.RemoteConditionsGracePeriod,
	}).SetupWithManager(ctx, mgr, controlPlanes); err != nil {
		return fmt.Errorf("setting up the KubeadmControlPlane reconciler: %w", err)
	}
	ends := &remediationEnd{client: mgr.GetClient(), live: mgr.GetAPIReader()}
	if err := ends.setup(mgr, options.controller(options.Concurrency.KubeadmControlPlane)); err != nil {
		return fmt.Errorf("setting up what ends remediations: %w", err)
	}
	return nil
}

func (o Options) promptly(workers int) controller.Options {
	return controller.Options{MaxConcurrentReconciles: workers, NewQueue: o.NewPromptQueue}
}

func (o Options) controller(workers int) controller.Options {
	return controller.Options{MaxConcurrentReconciles: workers, NewQueue: o.NewQueue}
}
