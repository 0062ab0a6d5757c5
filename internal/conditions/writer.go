package conditions

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/metrics"
)

// Object is an object whose status a Writer writes.
type Object interface {
	client.Object
	Holder
}

// Writer writes an object's status at the end of a reconcile.
type Writer struct {
	Client client.Client
	Events events.EventRecorder
	// Summary is the condition whose changes of reason are told as events.
	Summary string
	// Quiet tells no event of what merely waits, or is in order from the first. It is
	// for kinds that somebody else's events speak for: a cluster that comes up would
	// have as many events as status writes.
	Quiet bool
}

// Write patches the status of after if it differs from before, which is the
// object as it was read, records one event if the summary's status or reason
// changed, and logs and counts every condition whose status or reason did. A retry that ends
// with the same reason writes and tells nothing. An object that goes as soon as its
// last finalizer does is left alone, and one that is gone is no error; one that was
// read from a stale cache is a conflict, to be tried again.
func (w *Writer) Write(ctx context.Context, before, after Object) error {
	if equality.Semantic.DeepEqual(before, after) {
		return nil
	}
	if goes(after) {
		metrics.Gone(after)
		return nil
	}
	// The patch is of the status alone: an earlier write in the same reconcile may
	// have moved metadata and spec on, which before does not know.
	base, err := withStatus(after, before)
	if err != nil {
		return fmt.Errorf("preparing the status of %T %s: %w", after, client.ObjectKeyFromObject(after), err)
	}
	// A cache that lags behind the last write would have it told and written again:
	// the API server refuses what was worked out from an old version.
	data, err := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}).Data(after)
	if err != nil {
		return fmt.Errorf("preparing the status of %T %s: %w", after, client.ObjectKeyFromObject(after), err)
	}
	// The two may differ in metadata alone, which was written already.
	if !changesStatus(data) {
		return nil
	}
	patch := client.RawPatch(types.MergePatchType, data)
	if err := w.Client.Status().Patch(ctx, after, patch, client.FieldOwner(capstanv1.FieldOwner)); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("writing the status of %T %s: %w", after, client.ObjectKeyFromObject(after), err)
	}
	metrics.StatusWritten(before, after)
	logChanges(ctx, before, after)
	w.tell(before, after)
	return nil
}

// goes tells whether nothing holds an object any more that was deleted.
func goes(obj Object) bool {
	return !obj.GetDeletionTimestamp().IsZero() && len(obj.GetFinalizers()) == 0
}

// changesStatus tells whether there is more in a patch than the version that it is
// meant for.
func changesStatus(patch []byte) bool {
	var parts map[string]json.RawMessage
	return json.Unmarshal(patch, &parts) != nil || parts["status"] != nil
}

func (w *Writer) tell(before, after Object) {
	was, is := Get(before, w.Summary), Get(after, w.Summary)
	if w.Events == nil || is == nil {
		return
	}
	if was != nil && was.Status == is.Status && was.Reason == is.Reason {
		return
	}
	if w.Quiet && isProgress(was, is) {
		return
	}
	eventType := corev1.EventTypeNormal
	if is.Status != metav1.ConditionTrue && IsFault(is.Reason) {
		eventType = corev1.EventTypeWarning
	}
	w.Events.Eventf(after, nil, eventType, is.Reason, "Reconcile", "%s", truncate(is.Message))
}

// isProgress tells a step from wait to wait from one that somebody wants to hear
// of: that it is ready, that it no longer is, that something is wrong or right
// again, that it is being deleted.
func isProgress(was, is *metav1.Condition) bool {
	waits := func(c *metav1.Condition) bool {
		return c.Status != metav1.ConditionTrue && !IsFault(c.Reason) && c.Reason != capstanv1.ReasonDeleting
	}
	if was == nil {
		return is.Status == metav1.ConditionTrue || waits(is)
	}
	return waits(was) && waits(is)
}

// maxNote is the longest note of an event.
const maxNote = 1024

func truncate(s string) string {
	if len(s) > maxNote {
		return strings.ToValidUTF8(s[:maxNote-3], "") + "..."
	}
	return s
}
