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
	// left are objects that the addon wants no more and another is to have.
	left addons.Inventory
}

// orphaned tells whether nobody is to have any more what was left to others.
func (a *applied) orphaned(addon string, claims claims) bool {
	return slices.ContainsFunc(a.left, func(id addons.ID) bool { return !claims.byOther(addon, id) })
}

// memory is what this manager has applied. It is forgotten with the manager: the next
// one applies everything again. It is safe for concurrent use.
type memory struct {
	mu       sync.Mutex
	clusters map[client.ObjectKey]*remembered
}

type remembered struct {
	uid    types.UID
	addons map[string]applied
	// swept is when it was last looked for addons that nobody remembers.
	swept time.Time
}

// cluster returns what is known of a cluster. It is called with the lock.
func (m *memory) cluster(key client.ObjectKey, uid types.UID) *remembered {
	if c := m.clusters[key]; c != nil && c.uid == uid {
		return c
	}
	if m.clusters == nil {
		m.clusters = map[client.ObjectKey]*remembered{}
	}
	m.clusters[key] = &remembered{uid: uid, addons: map[string]applied{}}
	return m.clusters[key]
}

func (m *memory) of(key client.ObjectKey, uid types.UID, addon string) applied {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cluster(key, uid).addons[addon]
}

func (m *memory) set(key client.ObjectKey, uid types.UID, addon string, is applied) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cluster(key, uid).addons[addon] = is
}

func (m *memory) drop(key client.ObjectKey, uid types.UID, addon string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.cluster(key, uid).addons, addon)
}

func (m *memory) sweptAt(key client.ObjectKey, uid types.UID) time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cluster(key, uid).swept
}

func (m *memory) sweep(key client.ObjectKey, uid types.UID, at time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.cluster(key, uid).swept = at
}

func (m *memory) forget(key client.ObjectKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.clusters, key)
}
