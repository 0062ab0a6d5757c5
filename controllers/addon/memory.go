package addon

import (
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/addons"
)

// applied is what was applied of one addon, and when.
type applied struct {
	revision string
	at       time.Time
	// unwell are the objects that were not well when they were looked at last.
	unwell []*unstructured.Unstructured
	// pass is how far it is, nil if it is applied whole.
	pass *pass
	// left are objects that the addon wants no more and another is to have.
	left addons.Inventory
}

// orphaned tells whether nobody is to have any more what was left to others.
func (a *applied) orphaned(addon string, claims claims) bool {
	return slices.ContainsFunc(a.left, func(id addons.ID) bool { return !claims.byOther(addon, id) })
}

// made is which of the clusters of one name something is about: either may be made again.
type made struct{ workloadCluster, cluster types.UID }

// memory is what this manager has applied. It is forgotten with the manager: the next
// one applies everything again. It is safe for concurrent use.
type memory struct {
	mu       sync.Mutex
	clusters map[client.ObjectKey]*remembered
}

type remembered struct {
	made   made
	addons map[string]applied
	// swept is when it was last looked for addons that nobody remembers.
	swept time.Time
}

// cluster returns what is known of a cluster. It is called with the lock.
func (m *memory) cluster(key client.ObjectKey, of made) *remembered {
	if c := m.clusters[key]; c != nil && c.made == of {
		return c
	}
	if m.clusters == nil {
		m.clusters = map[client.ObjectKey]*remembered{}
	}
	m.clusters[key] = &remembered{made: of, addons: map[string]applied{}}
	return m.clusters[key]
}

func (m *memory) of(key client.ObjectKey, of made, addon string) applied {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cluster(key, of).addons[addon]
}

func (m *memory) set(key client.ObjectKey, of made, addon string, is applied) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cluster(key, of).addons[addon] = is
}

func (m *memory) drop(key client.ObjectKey, of made, addon string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.cluster(key, of).addons, addon)
}

func (m *memory) sweptAt(key client.ObjectKey, of made) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cluster(key, of).swept
}

func (m *memory) sweep(key client.ObjectKey, of made, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cluster(key, of).swept = at
}

func (m *memory) forget(key client.ObjectKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.clusters, key)
}
