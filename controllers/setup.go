package controllers

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	"sigs.k8s.io/cluster-api/util"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/capstan-k8s/capstan/controllers/addon"
	"github.com/capstan-k8s/capstan/controllers/hypervcluster"
	"github.com/capstan-k8s/capstan/controllers/hypervhost"
	"github.com/capstan-k8s/capstan/controllers/hypervmachine"
	"github.com/capstan-k8s/capstan/controllers/hypervmachinetemplate"
	"github.com/capstan-k8s/capstan/controllers/ipam"
	"github.com/capstan-k8s/capstan/controllers/loadbalancer"
	"github.com/capstan-k8s/capstan/controllers/nodepool"
	"github.com/capstan-k8s/capstan/controllers/orphan"
	"github.com/capstan-k8s/capstan/controllers/rebalance"
	"github.com/capstan-k8s/capstan/controllers/service"
	"github.com/capstan-k8s/capstan/controllers/virtualmachine"
	"github.com/capstan-k8s/capstan/controllers/vmimage"
	"github.com/capstan-k8s/capstan/controllers/workloadcluster"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/logs"
	"github.com/capstan-k8s/capstan/internal/metrics"
	"github.com/capstan-k8s/capstan/internal/outage"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// managerName is what the manager's certificate names it.
const managerName = "capstan-manager"

// maxHostConnections bounds the open connections to hosts.
const maxHostConnections = 1000

// Bounds on how soon an object is looked at again after an error. The default goes
// up to a quarter of an hour: after an outage of the API server, clusters would
// stand still for as long.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// young is how old an object is before it is told of that it waits: most of what is
// applied beside it is there by then.
const young = 2 * time.Second

// setupControllers adds all of Capstan's controllers to a manager.
func setupControllers(ctx context.Context, mgr ctrl.Manager, live client.Client, clusters clustercache.ClusterCache, options *Options) error {
	shared, err := newShared(ctx, mgr, live, options)
	if err != nil {
		return err
	}
	c, r, e := mgr.GetClient(), mgr.GetAPIReader(), shared.events
	hosts := &census.Taker{Live: r, Hosts: shared.agents, Clock: shared.clock}
	for _, reconciler := range []struct {
		kind string
		setup
	}{
		{"WorkloadCluster", &workloadcluster.Reconciler{Client: c, Live: r, Events: e, Patience: shared.patience}},
		{"addon", &addon.Reconciler{Client: c, Live: r, Events: e, Connections: clusters, Clock: shared.clock, Resync: addon.DefaultResync, MostBytes: addon.DefaultMostBytes, Turn: addon.DefaultTurn}},
		{"NodePool", &nodepool.Reconciler{
			Client: c, Live: r, Events: e, Patience: shared.patience, Clock: shared.clock,
			RolloutQuietPeriod: options.RolloutQuietPeriod, RolloutLongestHold: options.RolloutLongestHold,
		}},
		{"HyperVCluster", &hypervcluster.Reconciler{Client: c, Live: r, Events: e, Patience: shared.patience, Clock: shared.clock}},
		{"HyperVMachineTemplate", &hypervmachinetemplate.Reconciler{Client: c}},
		{"HyperVMachine", &hypervmachine.Reconciler{
			Client: c, Live: r, Events: e, Patience: shared.patience, Clock: shared.clock, Outages: shared.outages, Placement: options.Placement,
		}},
		{"LoadBalancer", &loadbalancer.Reconciler{
			Client: c, Live: r, Events: e, Patience: shared.patience, Manager: shared.identity, Pins: shared.pins,
			Clock: shared.clock, Random: util.RandomString, Outages: shared.outages,
		}},
		{"Service", &service.Reconciler{Client: c, Live: r, Connections: clusters, Clock: shared.clock}},
		{"VirtualMachine", &virtualmachine.Reconciler{
			Client: c, Live: r, Events: e, Patience: shared.patience, Hosts: shared.agents, Installation: shared.installation, Clock: shared.clock,
			Placement: options.Placement, Census: hosts, HostLossTimeout: options.Healing.HostLoss,
		}},
		{"rebalance", &rebalance.Reconciler{Client: c, Events: e, Clock: shared.clock, Placement: options.Placement}},
		{"HyperVHost", &hypervhost.Reconciler{
			Client: c, Live: r, Events: e, Agents: shared.agents, Manager: shared.identity,
			Installation: shared.installation, Clock: shared.clock, PollInterval: options.HostPollInterval,
		}},
		{"VMImage", &vmimage.Reconciler{Client: c, Events: e}},
		{"orphan", &orphan.Reconciler{
			Client: c, Live: r, Events: e, Hosts: shared.agents, Census: hosts,
			Installation: shared.installation, Clock: shared.clock, Policy: options.Orphans,
		}},
		{"IPAddressClaim", &ipam.ClaimReconciler{Client: c, Live: r, Events: e}},
		{"LogicalNetwork", &ipam.NetworkReconciler{
			Client: c, Live: r, Events: e, Clock: shared.clock, Census: hosts, Installation: shared.installation,
		}},
	} {
		if err := reconciler.SetupWithManager(ctx, mgr, controller.Options{
			MaxConcurrentReconciles: options.Concurrency,
			NewQueue:                options.Pace.NewQueue(),
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
		}); err != nil {
			return fmt.Errorf("setting up the %s controller: %w", reconciler.kind, err)
		}
	}
	return nil
}

// setup is what every reconciler can do.
type setup interface {
	SetupWithManager(ctx context.Context, mgr ctrl.Manager, options controller.Options) error
}

// shared is what several controllers use.
type shared struct {
	events       events.EventRecorder
	clock        clock.WithTicker
	patience     *conditions.Patience
	outages      *outage.Watch
	installation string
	identity     *pki.ManagerIdentity
	pins         *trust.Pins
	agents       *hypervhost.Agents
}

func newShared(ctx context.Context, mgr ctrl.Manager, live client.Client, options *Options) (*shared, error) {
	s := &shared{events: mgr.GetEventRecorder("capstan"), clock: options.Clock, outages: outage.NewWatch(options.Healing)}
	s.patience = &conditions.Patience{Clock: s.clock, Young: young, Words: options.WaitMessageHold}
	var err error
	if s.installation, err = trust.Installation(ctx, live); err != nil {
		return nil, err
	}
	keeper := &trust.CAKeeper{Client: live, Live: live, Namespace: options.Namespace, Clock: s.clock}
	if s.identity, err = keeper.Identity(ctx, managerName, nil); err != nil {
		return nil, fmt.Errorf("making the manager's identity: %w", err)
	}
	if err := mgr.Add(manager.RunnableFunc(func(ctx context.Context) error { return keeper.Run(ctx, s.identity) })); err != nil {
		return nil, fmt.Errorf("adding the keeper of the manager's CA: %w", err)
	}
	metrics.Follow(mgr.GetClient(), mgr.Elected())
	s.pins = &trust.Pins{Client: live, Live: live}
	s.agents = &hypervhost.Agents{
		Pool: hostclient.NewPool(s.identity, maxHostConnections, metrics.ObserveHostCalls(), logs.HostCalls{}), Pins: s.pins, Namespace: options.Namespace,
	}
	return s, nil
}
