package service

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
)

const (
	// requestTimeout bounds a request to a workload cluster that is not a watch.
	requestTimeout = 10 * time.Second
	// unlimited leaves it to the API server's priority and fairness how fast it answers,
	// as controller-runtime does. A Service takes some five requests, most of them events,
	// and any rate would have Services wait for what is said of others; how many requests
	// are under way at a time is bounded by those who work on Services.
	unlimited = -1
)

// session looks after the Services of one cluster for as long as the cluster can be
// reached.
type session struct {
	config *rest.Config
	lb     *capstanv1.LoadBalancer
	client client.Client

	informers informers.SharedInformerFactory
	services  corelisters.ServiceLister
	nodes     corelisters.NodeLister
	upstream  upstream

	book      *book
	writer    *writer
	batch     *batcher
	vips      *vips
	publisher *publisher
	keeper    *keeper
	// claims rings when a claim has changed, gone when one may have gone.
	claims, gone bell
	// latest is the LoadBalancer as it was last seen, which is the cache's own.
	latest atomic.Pointer[capstanv1.LoadBalancer]
	seen   seen
	log    logr.Logger

	cancel context.CancelFunc
	// ended is closed when nothing of it runs any more.
	ended chan struct{}
}

// newSession prepares a session. It asks nobody anything.
func (r *Reconciler) newSession(ctx context.Context, lb *capstanv1.LoadBalancer, config *rest.Config) (*session, error) {
	ctx, cancel := context.WithCancel(ctx)
	s := &session{config: config, lb: lb, client: r.Client, log: ctrllog.FromContext(ctx), cancel: cancel, ended: make(chan struct{})}
	s.latest.Store(lb)
	kube, err := s.connect()
	if err != nil {
		cancel()
		return nil, err
	}
	s.services, s.nodes = s.informers.Core().V1().Services().Lister(), s.informers.Core().V1().Nodes().Lister()
	s.book = newBook(lb)
	s.writer = newWriter(r.Client, lb, s.book, s.taking)
	s.vips = &vips{
		client: r.Client, live: r.Live, applier: &apply.Applier{Client: r.Client, Live: r.Live}, clock: r.Clock,
		lb: lb, book: s.book, changed: &s.claims, wanted: map[string]claimed{},
		limit: func() *int32 { return s.latest.Load().Spec.MaxServiceVIPs },
	}
	s.batch = newBatcher(r.Clock, s.write, s.isCarriedOut)
	s.vips.allMet = s.batch.soon
	balancer := &balancer{book: s.book, vips: s.vips, batch: s.batch, writer: s.writer, carried: s.carries, isGone: s.isGone}
	s.publisher = &publisher{kube: kube, services: s.services, balancer: balancer, clock: r.Clock, latest: s.latest.Load}
	s.keeper = &keeper{services: s.services, balancer: balancer, clock: r.Clock, changed: &s.gone}
	s.upstream = upstream{
		cluster: lb.Spec.ClusterName, kube: kube, informers: s.informers, asked: make(chan struct{}),
		cloud: &provider{balancer: balancer, instances: &instances{client: r.Client, live: r.Live, namespace: lb.Namespace}},
	}
	if err := s.follow(); err != nil {
		cancel()
		return nil, err
	}
	go s.run(ctx)
	return s, nil
}

// connect makes the clients: watches last, requests do not.
func (s *session) connect() (kubernetes.Interface, error) {
	config := rest.CopyConfig(s.config)
	config.QPS, config.Burst, config.RateLimiter = unlimited, 0, nil
	config.Timeout = requestTimeout
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the client of Cluster %s: %w", s.lb.Spec.ClusterName, err)
	}
	config.Timeout = 0
	watching, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("making the watching client of Cluster %s: %w", s.lb.Spec.ClusterName, err)
	}
	s.informers = informers.NewSharedInformerFactoryWithOptions(watching, 0, informers.WithTransform(strip))
	return kube, nil
}

// follow hears of what upstream's controllers do not tell: addresses of nodes, and who
// has written the status of Services.
func (s *session) follow() error {
	nodesChanged := func(any) { s.nodesChanged() }
	if _, err := s.informers.Core().V1().Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: nodesChanged, UpdateFunc: func(_, is any) { nodesChanged(is) }, DeleteFunc: nodesChanged,
	}); err != nil {
		return fmt.Errorf("following the nodes of Cluster %s: %w", s.lb.Spec.ClusterName, err)
	}
	if _, err := s.informers.Core().V1().Services().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(is any) { s.upstream.see(is) },
		UpdateFunc: func(_, is any) {
			s.upstream.see(is)
			if service, ok := is.(*corev1.Service); ok && isOurs(service) {
				s.publisher.changed.ring()
			}
		},
		// Upstream holds a Service until it is struck out. This is for one that somebody
		// has torn from its hands.
		DeleteFunc: func(was any) {
			name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(was)
			switch {
			case err != nil || !s.isGone(name):
				// Upstream sees to one that was made again.
			case s.book.has(name):
				s.publisher.balancer.strike(name)
				s.batch.soon()
			default:
				s.vips.met(name)
			}
		},
	}); err != nil {
		return fmt.Errorf("following the Services of Cluster %s: %w", s.lb.Spec.ClusterName, err)
	}
	return nil
}

// run looks after Services until ctx ends.
func (s *session) run(ctx context.Context) {
	defer close(s.ended)
	// What upstream tells of each Service and event is for those who look closely.
	log := ctrllog.FromContext(ctx)
	quiet := logr.NewContext(ctx, log.V(1))
	s.informers.StartWithContext(quiet)
	defer s.informers.Shutdown()
	core := s.informers.Core().V1()
	if !cache.WaitForCacheSync(ctx.Done(), core.Services().Informer().HasSynced, core.Nodes().Informer().HasSynced) || !s.expect(log) {
		return
	}
	log.Info("Looking after Services of type LoadBalancer")
	defer log.Info("No longer looking after Services of type LoadBalancer")
	s.strikeOut()
	s.machinesChanged(ctx)
	var all sync.WaitGroup
	all.Go(func() { s.batch.run(ctx) })
	all.Go(func() { s.publisher.run(ctx) })
	all.Go(func() { s.keeper.run(ctx) })
	all.Go(func() { s.upstream.runServices(quiet) })
	all.Go(func() { s.upstream.runNodes(quiet) })
	// What an earlier manager left unfinished.
	s.batch.soon()
	all.Wait()
}

// strikeOut takes out the Services that went, or became something else, while nobody
// looked.
func (s *session) strikeOut() {
	for _, name := range s.book.names() {
		namespace, plain, err := cache.SplitMetaNamespaceKey(name)
		if err != nil {
			s.book.remove(name)
			continue
		}
		if service, err := s.services.Services(namespace).Get(plain); err != nil || !isOurs(service) {
			s.book.remove(name)
		}
	}
}

// isGone tells that there is no Service of a name, whoever's it would be.
func (s *session) isGone(name string) bool {
	namespace, plain, err := cache.SplitMetaNamespaceKey(name)
	if err != nil {
		return true
	}
	_, err = s.services.Services(namespace).Get(plain)
	return apierrors.IsNotFound(err)
}

func (s *session) expect(log logr.Logger) bool {
	err := s.vips.expect(s.ours)
	if err != nil {
		log.Error(err, "Services could not be listed")
	}
	return err == nil
}

// ours are the names of the Services that are looked after.
func (s *session) ours() ([]string, error) {
	services, err := s.services.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, service := range services {
		if isOurs(service) {
			names = append(names, nameOf(service))
		}
	}
	return names, nil
}

// write tells the LoadBalancer, and gives back the addresses that it is no longer told
// of.
func (s *session) write(ctx context.Context) error {
	if vms, _ := s.seen.get(); vms == nil {
		s.machinesChanged(ctx)
	}
	err := s.writer.write(ctx)
	if err == nil {
		s.publisher.changed.ring()
		err = s.vips.release(ctx)
	}
	if err != nil && ctx.Err() == nil {
		ctrllog.FromContext(ctx).Info("The load balancer could not be told of Services, which is tried again", "error", err.Error())
	}
	return err
}

// observe takes a new version of the LoadBalancer.
func (s *session) observe(lb *capstanv1.LoadBalancer) {
	if lb.UID != s.lb.UID {
		return
	}
	s.latest.Store(lb)
	if s.writer.observe(lb) {
		s.batch.soon()
	}
	s.batch.moved.ring()
	s.publisher.changed.ring()
}

func (s *session) nodesChanged() {
	if s.writer.nodesChanged() {
		s.batch.soon()
	}
}

// carries tells whether a Service that is in the spec since a generation is carried by
// all load-balancer VMs that can be asked, and by one at least. One that cannot be asked
// is not waited for: its peers have the address if it has not.
func (s *session) carries(since int64, service string) bool {
	lb := s.latest.Load()
	if lb.Status.PlannedGeneration < since {
		return false
	}
	for _, refused := range lb.Status.RefusedServices {
		if refused.Name == service {
			return false
		}
	}
	return areThrough(lb, 1)
}

// isCarriedOut tells whether there is nothing that load-balancer VMs which can be asked
// have still to do.
func (s *session) isCarriedOut() bool {
	lb := s.latest.Load()
	return lb.Generation >= s.writer.known() && lb.Status.PlannedGeneration >= lb.Generation && areThrough(lb, 0)
}

// areThrough tells whether all VMs that can be asked, and so many at least, carry the
// newest plan.
func areThrough(lb *capstanv1.LoadBalancer, least int) bool {
	through := 0
	for _, instance := range lb.Status.Instances {
		switch {
		case instance.Role != roleActive && instance.Role != roleStandby:
		case instance.AppliedGeneration < lb.Status.PlanGeneration:
			return false
		default:
			through++
		}
	}
	return through >= least
}

// Roles of load-balancer VMs that can be asked.
const (
	roleActive  = "Active"
	roleStandby = "Standby"
)

// stop ends the session, and does not wait for that.
func (s *session) stop() { s.cancel() }

func (s *session) hasEnded() bool {
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}
