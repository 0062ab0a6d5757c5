// Package controllers is the list of all of Capstan's controllers, and the
// manager that they run in. What a controller does is in the folder of its kind.
package controllers

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/admission"
	"github.com/capstan-k8s/capstan/internal/capi"
	"github.com/capstan-k8s/capstan/internal/pacing"
	"github.com/capstan-k8s/capstan/internal/servingcert"
)

// NewScheme returns a scheme with every kind that the manager knows.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, capi.AddToScheme, capstanv1.AddToScheme, infrav1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	return scheme, nil
}

// Run runs the manager of the options against the management cluster of --kubeconfig, or
// of the pod that it is in, until the context ends.
func Run(ctx context.Context, options *Options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the management cluster: %w", err)
	}
	mgr, err := NewManager(ctx, config, options)
	if err != nil {
		return err
	}
	return mgr.Start(ctx)
}

// +kubebuilder:rbac:namespace=capstan-system,groups=coordination.k8s.io,resources=leases,verbs=get;create;update

// NewManager returns a manager with everything set up, ready to be started. What
// must be true before any cache starts is made sure of here: that Cluster API is
// ours alone, and that the API server trusts our webhooks, without which no object
// could be read or written.
func NewManager(ctx context.Context, config *rest.Config, options *Options) (ctrl.Manager, error) {
	scheme, err := NewScheme()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = float32(options.QPS), options.Burst
	config.UserAgent = "capstan-manager"
	config.WarningHandler = warnings(ctrl.Log.WithName("apiserver"))
	live, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("reaching the management cluster: %w", err)
	}
	if err := capi.RequireCRDs(ctx, live); err != nil {
		return nil, err
	}
	if err := capi.RefuseForeign(ctx, live); err != nil {
		return nil, err
	}
	certificates, err := servingcert.New(servingcert.Options{
		Client: live, Clock: options.Clock, BaseURL: options.WebhookBaseURL,
		Secret:  client.ObjectKey{Namespace: options.Namespace, Name: "capstan-webhook-cert"},
		Service: client.ObjectKey{Namespace: options.Namespace, Name: "capstan-webhook"},
	})
	if err != nil {
		return nil, err
	}
	if err := certificates.Ensure(ctx); err != nil {
		return nil, fmt.Errorf("making the webhooks' serving certificate: %w", err)
	}
	mgr, err := newManager(config, scheme, options, certificates)
	if err != nil {
		return nil, err
	}
	clusters, err := capi.SetupReconcilers(ctx, mgr, capi.Options{
		ConnectionRetryInterval: options.ConnectionRetryInterval,
		NewQueue:                options.Pace.NewQueue(), NewPromptQueue: pacing.Pace{}.NewQueue(),
		Concurrency: capi.EachWith(options.Concurrency),
	})
	if err != nil {
		return nil, err
	}
	if err := capi.SetupWebhooks(mgr, clusters); err != nil {
		return nil, err
	}
	if err := admission.SetupWebhooks(mgr); err != nil {
		return nil, err
	}
	if err := setupControllers(ctx, mgr, live, clusters, options); err != nil {
		return nil, err
	}
	return mgr, nil
}

func newManager(config *rest.Config, scheme *runtime.Scheme, options *Options, certificates *servingcert.Keeper) (ctrl.Manager, error) {
	// A manager that stops gives its lease back and has this long to end what it
	// is at.
	gracePeriod := 10 * time.Second
	managerOptions := ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsOptions(options, certificates),
		HealthProbeBindAddress:        options.ProbeAddress,
		PprofBindAddress:              options.PprofAddress,
		LeaderElection:                options.LeaderElect,
		LeaderElectionID:              "capstan-manager",
		LeaderElectionNamespace:       options.Namespace,
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       &gracePeriod,
		Cache:                         cache.Options{ByObject: map[client.Object]cache.ByObject{}},
		WebhookServer: webhook.NewServer(webhook.Options{
			Host: options.WebhookHost, Port: options.WebhookPort,
			TLSOpts: []func(*tls.Config){certificates.ConfigureTLS},
		}),
	}
	for _, object := range withoutManagedFields() {
		managerOptions.Cache.ByObject[object] = cache.ByObject{Transform: cache.TransformStripManagedFields()}
	}
	if err := capi.ConfigureManager(&managerOptions); err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, managerOptions)
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	if err := mgr.Add(certificates); err != nil {
		return nil, fmt.Errorf("adding the keeper of certificates: %w", err)
	}
	for name, check := range map[string]healthz.Checker{
		"webhooks":     mgr.GetWebhookServer().StartedChecker(),
		"certificates": certificates.Check,
	} {
		if err := mgr.AddReadyzCheck(name, check); err != nil {
			return nil, fmt.Errorf("adding the readiness check %s: %w", name, err)
		}
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("adding the health check: %w", err)
	}
	return mgr, nil
}

// withoutManagedFields are the kinds of which there are many, and whose managed
// fields, half of each object, nobody here reads. Cluster API reads those of Machines,
// MachineSets and what Machines are made of.
func withoutManagedFields() []client.Object {
	return []client.Object{
		&clusterv1.Cluster{}, &clusterv1.MachineDeployment{}, &clusterv1.MachineHealthCheck{},
		&controlplanev1.KubeadmControlPlane{}, &ipamv1.IPAddressClaim{},
		&infrav1.HyperVCluster{}, &infrav1.HyperVMachineTemplate{},
		&capstanv1.WorkloadCluster{}, &capstanv1.NodePool{}, &capstanv1.LoadBalancer{},
		&capstanv1.VirtualMachine{}, &capstanv1.AddressReservation{},
	}
}
