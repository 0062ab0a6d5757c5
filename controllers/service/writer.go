package service

import (
	"context"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// writer writes into a LoadBalancer what it is told of Services and nodes. Fields that
// others apply are not touched, and theirs do not touch these.
type writer struct {
	client client.Client
	lb     *capstanv1.LoadBalancer
	book   *book
	// nodes returns the nodes that take connections.
	nodes func() ([]capstanv1.LoadBalancerNode, error)

	mu sync.Mutex
	// is what the LoadBalancer has, of a generation.
	is         told
	generation int64
}

// told is what a LoadBalancer is told.
type told struct {
	Services []capstanv1.LoadBalancerService `json:"services,omitempty"`
	Nodes    []capstanv1.LoadBalancerNode    `json:"nodes,omitempty"`
}

func newWriter(c client.Client, lb *capstanv1.LoadBalancer, b *book, nodes func() ([]capstanv1.LoadBalancerNode, error)) *writer {
	w := &writer{client: c, lb: lb, book: b, nodes: nodes}
	w.is, w.generation = toldTo(lb), lb.Generation
	return w
}

func toldTo(lb *capstanv1.LoadBalancer) told {
	return told{Services: lb.Spec.Services, Nodes: lb.Spec.Nodes}
}

// write writes what the book says, if the LoadBalancer does not have it. It is called
// by one goroutine at a time.
func (w *writer) write(ctx context.Context) error {
	shall, version, err := w.shall()
	if err != nil {
		return err
	}
	w.mu.Lock()
	same, generation := equality.Semantic.DeepEqual(shall, w.is), w.generation
	w.mu.Unlock()
	if !same {
		if generation, err = w.apply(ctx, shall); err != nil {
			return err
		}
		w.mu.Lock()
		w.is, w.generation = shall, max(w.generation, generation)
		w.mu.Unlock()
	}
	w.book.stand(version, generation)
	return nil
}

func (w *writer) shall() (told, uint64, error) {
	services, version := w.book.page()
	shall := told{Services: services}
	// Nobody needs nodes to which nothing is sent.
	if len(services) == 0 {
		return shall, version, nil
	}
	var err error
	shall.Nodes, err = w.nodes()
	return shall, version, err
}

func (w *writer) apply(ctx context.Context, shall told) (generation int64, err error) {
	spec, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&shall)
	if err != nil {
		return 0, fmt.Errorf("preparing the Services of LoadBalancer %s: %w", w.lb.Name, err)
	}
	intent := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	intent.SetAPIVersion(capstanv1.GroupVersion.String())
	intent.SetKind("LoadBalancer")
	intent.SetNamespace(w.lb.Namespace)
	intent.SetName(w.lb.Name)
	// Another one of its name, or none at all, is not told.
	intent.SetUID(w.lb.UID)
	if err := w.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(intent),
		client.FieldOwner(capstanv1.ServicesFieldOwner), client.ForceOwnership); err != nil {
		return 0, fmt.Errorf("telling LoadBalancer %s of Services: %w", w.lb.Name, err)
	}
	return intent.GetGeneration(), nil
}

// observe takes what somebody else may have made of the LoadBalancer, and tells whether
// it has to be written again.
func (w *writer) observe(lb *capstanv1.LoadBalancer) (again bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	// What is older than the last write is no news.
	if lb.Generation <= w.generation {
		return false
	}
	w.generation = lb.Generation
	is := toldTo(lb)
	if equality.Semantic.DeepEqual(is, w.is) {
		return false
	}
	w.is = is
	return true
}

// known is the generation of the LoadBalancer that was written or seen last.
func (w *writer) known() int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.generation
}

// nodesChanged tells whether the LoadBalancer has other nodes than there are.
func (w *writer) nodesChanged() bool {
	if w.book.isEmpty() {
		return false
	}
	nodes, err := w.nodes()
	w.mu.Lock()
	defer w.mu.Unlock()
	return err != nil || !equality.Semantic.DeepEqual(nodes, w.is.Nodes)
}
