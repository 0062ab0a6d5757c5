package service_test

import (
	"context"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// carriers stand in for the LoadBalancer controller and its VMs: they carry whatever a
// LoadBalancer says, unless they are told to wait, and free what is given back.
type carriers struct {
	client client.Client

	mu           sync.Mutex
	paused, kept map[string]bool
}

func (c *carriers) setup(mgr manager.Manager) error {
	c.client = mgr.GetClient()
	return ctrl.NewControllerManagedBy(mgr).Named("carrier").For(&capstanv1.LoadBalancer{}).Owns(&ipamv1.IPAddressClaim{}).
		WithOptions(testenv.Controller()).Complete(c)
}

// pause lets the LoadBalancers of a namespace carry nothing new.
func (c *carriers) pause(namespace string, paused bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paused[namespace] = paused
}

// keep lets what is given back in a namespace not come free, as while a VM is away.
func (c *carriers) keep(namespace string, kept bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kept[namespace] = kept
}

func (c *carriers) keeps(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[namespace]
}

func (c *carriers) isPaused(namespace string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paused[namespace]
}

// Reconcile carries one LoadBalancer.
func (c *carriers) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	lb := &capstanv1.LoadBalancer{}
	if err := c.client.Get(ctx, req.NamespacedName, lb); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	claims := &ipamv1.IPAddressClaimList{}
	if err := c.client.List(ctx, claims, client.InNamespace(lb.Namespace), client.MatchingLabels{capstanv1.LoadBalancerLabel: lb.Name}); err != nil {
		return ctrl.Result{}, err
	}
	for i := range claims.Items {
		claim := &claims.Items[i]
		before := claim.DeepCopy()
		if claim.DeletionTimestamp.IsZero() || c.keeps(lb.Namespace) || !controllerutil.RemoveFinalizer(claim, capstanv1.LoadBalancerFinalizer) {
			continue
		}
		if err := c.client.Patch(ctx, claim, client.MergeFrom(before)); client.IgnoreNotFound(err) != nil {
			return ctrl.Result{}, err
		}
	}
	if c.isPaused(lb.Namespace) || lb.Status.PlannedGeneration == lb.Generation {
		return ctrl.Result{}, nil
	}
	before := lb.DeepCopy()
	lb.Status.PlannedGeneration = lb.Generation
	lb.Status.PlanGeneration++
	now := metav1.Now()
	lb.Status.Instances = []capstanv1.LoadBalancerInstance{
		{Name: "shop-lb-a", Role: "Active", AppliedGeneration: lb.Status.PlanGeneration, Since: &now},
		{Name: "shop-lb-b", Role: "Unknown", AppliedGeneration: 1, Since: &now},
	}
	return ctrl.Result{}, c.client.Status().Patch(ctx, lb, client.MergeFrom(before))
}
