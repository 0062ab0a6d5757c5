package kubeapi

import (
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// revisionGap is added when a snapshot is loaded. Clients may have seen
// revisions later than the snapshot; they must not mean something else now.
const revisionGap = 100_000

// Snapshot is the content of a store.
type Snapshot struct {
	Revision uint64            `json:"revision"`
	Objects  []json.RawMessage `json:"objects"`
}

// Revision returns the revision of the latest change.
func (s *Store) Revision() uint64 {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.revision
}

// Snapshot returns the content of the store, without volatile types.
func (s *Store) Snapshot() (Snapshot, error) {
	s.mu.RLock()
	revision := s.revision
	var objects []Object
	for _, r := range resources {
		if !r.Volatile {
			objects = append(objects, s.list(r, "")...)
		}
	}
	s.mu.RUnlock()
	// Stored objects are never changed, so they can be read without the lock.
	snap := Snapshot{Revision: revision, Objects: make([]json.RawMessage, 0, len(objects))}
	for _, obj := range objects {
		b, err := json.Marshal(obj)
		if err != nil {
			return Snapshot{}, fmt.Errorf("encode %T %s: %w", obj, client.ObjectKeyFromObject(obj), err)
		}
		snap.Objects = append(snap.Objects, b)
	}
	return snap, nil
}

// Load replaces the content of the store. All watches end, and clients that
// resume an old one have to list again.
func (s *Store) Load(snap Snapshot) error {
	objects := map[*Resource]map[types.NamespacedName]Object{}
	for i, raw := range snap.Objects {
		var kind struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := json.Unmarshal(raw, &kind); err != nil {
			return fmt.Errorf("decode object %d of the snapshot: %w", i, err)
		}
		r := findKind(schema.FromAPIVersionAndKind(kind.APIVersion, kind.Kind))
		if r == nil {
			return fmt.Errorf("object %d of the snapshot is a %s %s, which is not served", i, kind.APIVersion, kind.Kind)
		}
		o, err := Scheme.New(r.GVK())
		if err != nil {
			return fmt.Errorf("decode object %d of the snapshot: %w", i, err)
		}
		if err := json.Unmarshal(raw, o); err != nil {
			return fmt.Errorf("decode object %d of the snapshot: %w", i, err)
		}
		if objects[r] == nil {
			objects[r] = map[types.NamespacedName]Object{}
		}
		obj := o.(Object)
		objects[r][client.ObjectKeyFromObject(obj)] = obj
	}
	s.CloseWatches()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.objects = objects
	s.revision = snap.Revision + revisionGap
	s.history = history{first: s.revision}
	return nil
}
