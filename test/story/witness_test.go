package story

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/testenv/onlooker"
)

// Kinds that the witness watches. Users wait for the first two.
var (
	workloadClusters = capstanv1.GroupVersion.WithKind("WorkloadCluster")
	nodePools        = capstanv1.GroupVersion.WithKind("NodePool")
	virtualMachines  = capstanv1.GroupVersion.WithKind("VirtualMachine")
	watched          = []schema.GroupVersionKind{
		workloadClusters, nodePools, virtualMachines, capstanv1.GroupVersion.WithKind("LoadBalancer"), infrav1.GroupVersion.WithKind("HyperVMachine"),
	}
)

// witness hears of every version of the objects that the API server tells of.
type witness struct {
	progress *onlooker.Tally

	mu sync.Mutex
	// ids are the identities that VirtualMachines ever had.
	ids map[string]bool
	// judged counts the versions of objects whose health was judged, by kind.
	judged   map[string]int
	troubles []error
}

func startWitness(t *testing.T, w *world, p *onlooker.Tally) *witness {
	t.Helper()
	h := &witness{progress: p, ids: map[string]bool{}, judged: map[string]int{}}
	for _, kind := range watched {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		told, err := w.API.Watch(w.Ctx, list)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		go h.hear(w, kind, told)
	}
	return h
}

func (h *witness) hear(w *world, kind schema.GroupVersionKind, told watch.Interface) {
	for event := range told.ResultChan() {
		obj, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			h.trouble(fmt.Errorf("watching %s: %v", kind.Kind, event.Object))
			continue
		}
		h.record(kind, event.Type, obj)
		h.progress.Add()
	}
	if w.Ctx.Err() == nil {
		h.trouble(fmt.Errorf("the watch of %s ended before the story", kind.Kind))
	}
}

func (h *witness) record(kind schema.GroupVersionKind, event watch.EventType, obj *unstructured.Unstructured) {
	var err error
	// Nobody waits for what a deletion leaves in the last event.
	judge := (kind == workloadClusters || kind == nodePools) && event != watch.Deleted
	if judge {
		err = testenv.CheckHealthAgrees(obj)
	}
	id, _, _ := unstructured.NestedString(obj.Object, "spec", "id")
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.troubles = append(h.troubles, err)
	}
	if judge {
		h.judged[kind.Kind]++
	}
	if kind == virtualMachines && id != "" {
		h.ids[id] = true
	}
}

func (h *witness) trouble(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.troubles = append(h.troubles, err)
}

// check fails the test unless all that was seen is as it must be: kstatus, kubectl
// and the object itself always agreed, and each identity on a host was an object's.
func (h *witness) check(t *testing.T, onHosts map[string]string) {
	t.Helper()
	g := NewWithT(t)
	h.mu.Lock()
	defer h.mu.Unlock()
	g.Expect(errors.Join(h.troubles...)).NotTo(HaveOccurred())
	g.Expect(h.judged).To(HaveKeyWithValue(workloadClusters.Kind, BeNumerically(">", 5)))
	g.Expect(h.judged).To(HaveKeyWithValue(nodePools.Kind, BeNumerically(">", 5)))
	g.Expect(onHosts).NotTo(BeEmpty())
	for id, what := range onHosts {
		g.Expect(h.ids).To(HaveKey(id), "%s was on the hosts, but no VirtualMachine ever had its identity", what)
	}
}
