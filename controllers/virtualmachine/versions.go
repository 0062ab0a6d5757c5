package virtualmachine

import (
	"sync"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// versions remembers what this controller wrote last of each object, so that a
// cache that is still behind is waited for: judged by an old status, a change of
// reason would be told twice.
type versions struct {
	mu   sync.Mutex
	last map[client.ObjectKey]string
}

func (v *versions) wrote(obj client.Object) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last == nil {
		v.last = map[client.ObjectKey]string{}
	}
	v.last[client.ObjectKeyFromObject(obj)] = obj.GetResourceVersion()
}

func (v *versions) forget(key client.ObjectKey) {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.last, key)
}

// behind tells whether obj is older than what was written last. Versions that
// cannot be compared count as new enough.
func (v *versions) behind(obj client.Object) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	last, ok := v.last[client.ObjectKeyFromObject(obj)]
	if !ok {
		return false
	}
	order, err := resourceversion.CompareResourceVersion(obj.GetResourceVersion(), last)
	return err == nil && order < 0
}
