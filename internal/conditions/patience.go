package conditions

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Patience keeps back what is hardly worth a write of its own: that an object which
// was made a moment ago waits, and that one which waits does so in other words.
// Most of that is overtaken by what is worth it. Whatever is ready, wrong, counted
// or waited for instead is told at once. What is wrong with another object is told
// at once of that one, and may be kept back where it is but why this one waits. Who
// keeps no patience tells all at once.
type Patience struct {
	Clock clock.PassiveClock
	// Young is how old an object is before it is told of that it merely waits. An
	// age is known by the second only.
	Young time.Duration
	// Words is for how long the words are kept back in which an object waits.
	Words time.Duration

	mu sync.Mutex
	// kept is since when other words are kept back.
	kept map[types.UID]time.Time
	// swept is when those were forgotten that nobody asked for any more.
	swept time.Time
}

// Left returns how much time there is to write the status of after, which differs
// from before, the object as it was read. Zero means that it is to be written now;
// otherwise the object is to be looked at again by then.
func (p *Patience) Left(before, after Object) (time.Duration, error) {
	if p == nil {
		return 0, nil
	}
	now := p.Clock.Now()
	// What was made in the future was made by a clock that is ahead, nobody knows how far.
	if left := after.GetCreationTimestamp().Add(p.Young).Sub(now); left > 0 && left <= p.Young && isFirstWait(before, after) {
		return left, nil
	}
	same, err := differInWordsOnly(before, after)
	if err != nil {
		return 0, fmt.Errorf("comparing the status of %T %s: %w", after, client.ObjectKeyFromObject(after), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sweep(now)
	since, known := p.kept[after.GetUID()]
	switch {
	case same && !known:
		if p.kept == nil {
			p.kept = map[types.UID]time.Time{}
		}
		p.kept[after.GetUID()] = now
		return p.Words, nil
	case same && now.Sub(since) < p.Words:
		return p.Words - now.Sub(since), nil
	}
	delete(p.kept, after.GetUID())
	return 0, nil
}

// WriteInTime is Write, or has the object looked at again when that is due. A round
// that failed is told of at once, under whichever reason: nobody knows when the next
// one is. And what goes has no next one.
func (w *Writer) WriteInTime(ctx context.Context, p *Patience, before, after Object, result *reconcile.Result, failed error) error {
	if failed != nil || goes(after) {
		p.forget(after.GetUID())
		return w.Write(ctx, before, after)
	}
	left, err := p.Left(before, after)
	if err != nil {
		return err
	}
	if left == 0 {
		return w.Write(ctx, before, after)
	}
	if result.RequeueAfter == 0 || left < result.RequeueAfter {
		result.RequeueAfter = left
	}
	return nil
}

func (p *Patience) forget(uid types.UID) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.kept, uid)
}

// sweep forgets those that were due long ago. They are gone.
func (p *Patience) sweep(now time.Time) {
	if now.Sub(p.swept) < time.Minute {
		return
	}
	p.swept = now
	for uid, since := range p.kept {
		if now.Sub(since) > p.Words+time.Minute {
			delete(p.kept, uid)
		}
	}
}

// isFirstWait tells whether all that there is to tell of an object is that it waits,
// and nothing was told yet.
func isFirstWait(before, after Object) bool {
	is := Get(after, readyType)
	return is != nil && merelyWaits(is) && Get(before, readyType) == nil && after.GetDeletionTimestamp().IsZero()
}

// merelyWaits tells a wait from what is in order, and from what somebody must look
// at.
func merelyWaits(c *metav1.Condition) bool {
	return c.Status == metav1.ConditionFalse && !IsFault(c.Reason)
}

// differInWordsOnly tells whether the two say the same of an object, but for the
// words in which it waits.
func differInWordsOnly(before, after Object) (bool, error) {
	inOldWords := slices.Clone(after.GetConditions())
	different := false
	for i := range inOldWords {
		is := &inOldWords[i]
		was := Get(before, is.Type)
		if was == nil || was.Message == is.Message || !merelyWaits(is) ||
			was.Status != is.Status || was.Reason != is.Reason || was.ObservedGeneration != is.ObservedGeneration {
			continue
		}
		is.Message, different = was.Message, true
	}
	if !different {
		return false, nil
	}
	wanted := after.DeepCopyObject().(Object)
	wanted.SetConditions(inOldWords)
	// Metadata and spec may have been written meanwhile.
	stored, err := withStatus(after, before)
	if err != nil {
		return false, err
	}
	return equality.Semantic.DeepEqual(stored, wanted), nil
}
