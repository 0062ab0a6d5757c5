package addon

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/source"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=workloadclusters,verbs=get;list;watch
// +kubebuilder:rbac:groups=capstan.dev,resources=workloadclusters/status,verbs=get;update;patch
// +kubebuilder:rbac:groups=cluster.x-k8s.io,resources=clusters,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=configmaps,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch

// Connections are those to the workload clusters.
type Connections interface {
	// GetUncachedClient returns a client that reads past any cache,
	// clustercache.ErrClusterNotConnected while there is no connection.
	GetUncachedClient(ctx context.Context, cluster client.ObjectKey) (client.Client, error)
	// GetClusterSource tells of connections that come and go.
	GetClusterSource(controllerName string, mapFunc func(context.Context, client.Object) []ctrl.Request, opts ...clustercache.GetClusterSourceOption) source.Source
}

// Reconciler applies the addons of WorkloadClusters.
type Reconciler struct {
	Client client.Client
	// Live reads past the cache.
	Live        client.Reader
	Events      events.EventRecorder
	Connections Connections
	Clock       clock.PassiveClock
	// Resync is how often everything is applied again, so that what others changed or
	// deleted is mended.
	Resync time.Duration
	// MostBytes bounds the manifests of all addons of a cluster together, as text.
	MostBytes int
	// Turn is for how long a round works in one workload cluster before others have
	// theirs. What is left is gone on with in the next.
	Turn time.Duration

	writer  *conditions.Writer
	applied memory
	parsed  parsed
}

// DefaultResync is how often drift is mended.
const DefaultResync = 10 * time.Minute

// DefaultMostBytes is far more than any known set of addons has.
const DefaultMostBytes = 16 << 20

// DefaultTurn is more than most addons take.
const DefaultTurn = 20 * time.Second

// longest bounds one round with a workload cluster that does not answer.
const longest = time.Minute

// scope is what one reconcile knows.
type scope struct {
	wlc   *capstanv1.WorkloadCluster
	steps []*step
	// bytes is how large the manifests are that were read.
	bytes int
	// claims are what the addons of the spec want.
	claims claims
	// planned tells that the steps are all there are.
	planned bool
	// cluster is the Cluster, nil if there is none.
	cluster *clusterv1.Cluster
	turn    turn
	// midway is the addon that was not applied whole for want of time, "" if none was.
	midway string
	// cut tells that something is left for the next round for want of time.
	cut bool
	// site is the workload cluster, nil while it cannot be reached; absent says why.
	site   *site
	absent string
	// failures are errors that concern no more than one addon each.
	failures []error
	// due is when the cluster is looked at again, unless something happens.
	due time.Duration
}

// Reconcile applies the addons of one WorkloadCluster. One that has none, and had none,
// costs nothing.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (result ctrl.Result, reterr error) {
	wlc := &capstanv1.WorkloadCluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, wlc); err != nil {
		if apierrors.IsNotFound(err) {
			r.applied.forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !wlc.DeletionTimestamp.IsZero() {
		r.applied.forget(req.NamespacedName)
		return ctrl.Result{}, nil
	}
	if wlc.Spec.Paused || !hasAddons(wlc) {
		return ctrl.Result{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	before := wlc.DeepCopy()
	s := &scope{wlc: wlc, due: r.Resync, turn: turn{r.Clock, r.Clock.Now().Add(r.Turn)}}
	for _, phase := range []func(context.Context, *scope) error{
		r.reach,
		r.plan,
		r.bringAll,
		r.removeRest,
	} {
		if reterr = phase(ctx, s); reterr != nil {
			break
		}
	}
	// That somebody else wrote first is no news: it is read and tried again.
	if apierrors.IsConflict(reterr) && len(s.failures) == 0 {
		return ctrl.Result{}, reterr
	}
	reterr = errors.Join(append(s.failures, reterr)...)
	setStatus(s, reterr)
	if err := r.writer.Write(ctx, before, wlc); err != nil {
		return ctrl.Result{}, errors.Join(reterr, err)
	}
	r.tell(before, wlc)
	if reterr != nil {
		return ctrl.Result{}, reterr
	}
	if s.cut {
		s.lookAgain(goOn)
	}
	return ctrl.Result{RequeueAfter: s.due}, nil
}

// hasAddons tells whether there is anything to apply, or to take away again.
func hasAddons(wlc *capstanv1.WorkloadCluster) bool {
	return wlc.Spec.Addons.CNI.Installs() || len(wlc.Spec.Addons.Manifests) > 0 ||
		len(wlc.Status.Addons) > 0 || conditions.Get(wlc, capstanv1.AddonsReadyCondition) != nil
}

// made tells which cluster it is.
func (s *scope) made() made {
	of := made{workloadCluster: s.wlc.UID}
	if s.cluster != nil {
		of.cluster = s.cluster.UID
	}
	return of
}

// lookAgain has the cluster looked at again after no longer than this.
func (s *scope) lookAgain(after time.Duration) { s.due = min(s.due, after) }
