package addon

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/addons"
)

// goOn is how soon a cluster is gone on with whose turn was over. Those that wait by
// then come first.
const goOn = 100 * time.Millisecond

// turn is for how long one round works in a workload cluster: others wait for it, and
// the slowest API servers have no right to more of it than the rest. Whoever asks does
// one thing before, so that every turn brings something on.
type turn struct {
	clock clock.PassiveClock
	until time.Time
}

func (t turn) over() bool { return !t.clock.Now().Before(t.until) }

// half is for those who would take all of it, and leave nothing to who comes after them.
func (t turn) half() turn {
	now := t.clock.Now()
	return turn{t.clock, now.Add(t.until.Sub(now) / 2)}
}

// outOfTimeError says how far an addon was applied when the turn was over.
type outOfTimeError struct{ done, of int }

// Error implements error.
func (e *outOfTimeError) Error() string {
	return fmt.Sprintf("%d of %s applied", e.done, counted(e.of))
}

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
