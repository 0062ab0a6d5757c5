package addon

import (
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/capstan-k8s/capstan/internal/addons"
)

// pass is how far an addon was applied that is not applied whole yet.
type pass struct {
	revision string
	// done are the objects that need not be applied again, and unwell those of them that
	// were not well then.
	done   map[addons.ID]bool
	unwell []*unstructured.Unstructured
	// at is when it was last brought on.
	at time.Time
	// cut tells that nothing but time was lacking.
	cut bool
}

// next returns the pass that an addon of a revision is applied in: the one that was begun,
// unless it has stood still for so long that others may have changed what is done.
func (p *pass) next(revision string, now time.Time, resync time.Duration) *pass {
	if p == nil || p.revision != revision || now.Sub(p.at) >= resync {
		return &pass{revision: revision, done: map[addons.ID]bool{}, at: now}
	}
	return &pass{revision: revision, done: p.done, unwell: p.unwell, at: p.at}
}

// take notes an object that was applied. A definition is not done before the cluster has
// taken it in.
func (p *pass) take(object *unstructured.Unstructured, now time.Time) {
	p.at = now
	health, _ := addons.Judge(object)
	if health != addons.Well && addons.Defines(object) {
		return
	}
	p.done[addons.IDOf(object)] = true
	if health != addons.Well {
		p.unwell = append(p.unwell, object)
	}
}
