package conditions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// world is an API server that counts the writes of status.
type world struct {
	client.Client
	writes  int
	fail    error
	quiet   bool
	events  testenv.Recorder
	written *capstanv1.NodePool
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	NewWithT(t).Expect(capstanv1.AddToScheme(scheme)).To(Succeed())
	w := &world{}
	w.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&capstanv1.NodePool{}).
		WithInterceptorFuncs(interceptor.Funcs{SubResourcePatch: func(
			ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption,
		) error {
			w.writes++
			if w.fail != nil {
				return w.fail
			}
			return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
		}}).Build()
	return w
}

// reconcile does what every reconciler does at its end.
func (w *world) reconcile(t *testing.T, change func(*capstanv1.NodePool)) error {
	t.Helper()
	w.written = newPool()
	NewWithT(t).Expect(w.Get(t.Context(), client.ObjectKeyFromObject(w.written), w.written)).To(Succeed())
	before := w.written.DeepCopy()
	change(w.written)
	writer := &conditions.Writer{Client: w, Events: &w.events, Summary: "Ready", Quiet: w.quiet}
	return writer.Write(t.Context(), before, w.written)
}

func waiting(message string) func(*capstanv1.NodePool) {
	return func(p *capstanv1.NodePool) { conditions.False(p, "Ready", "WaitingForMachines", "%s", message) }
}

func TestOneEventPerChangeOfReasonAndNonePerRetry(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, newPool())
	for range 3 {
		g.Expect(w.reconcile(t, waiting("0 of 3"))).To(Succeed())
	}
	g.Expect(w.writes).To(Equal(1), "a retry that learns nothing writes nothing")
	g.Expect(w.reconcile(t, waiting("1 of 3"))).To(Succeed())
	g.Expect(w.writes).To(Equal(2), "a new message is written")
	g.Expect(w.reconcile(t, func(p *capstanv1.NodePool) { conditions.False(p, "Ready", "ImageNotFound", "no image") })).To(Succeed())
	g.Expect(w.reconcile(t, func(p *capstanv1.NodePool) { conditions.True(p, "Ready", "Ready", "3 of 3") })).To(Succeed())
	g.Expect(w.events.Of("uid")).To(Equal([]testenv.Event{
		{Type: "Normal", Reason: "WaitingForMachines", Note: "0 of 3"},
		{Type: "Warning", Reason: "ImageNotFound", Note: "no image"},
		{Type: "Normal", Reason: "Ready", Note: "3 of 3"},
	}))
}

func TestAQuietKindDoesNotTellItsWaits(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, newPool())
	w.quiet = true
	no := func(reason string) func(*capstanv1.NodePool) {
		return func(p *capstanv1.NodePool) { conditions.False(p, "Ready", reason, "no") }
	}
	for _, change := range []func(*capstanv1.NodePool){
		no("WaitingForAddress"), no("StagingImage"), no("ImageNotFound"), no("WaitingForGuest"),
		func(p *capstanv1.NodePool) { conditions.True(p, "Ready", "Ready", "yes") },
		no("WaitingForGuest"), no("WaitingForAddress"), no("Deleting"),
	} {
		g.Expect(w.reconcile(t, change)).To(Succeed())
	}
	g.Expect(w.writes).To(Equal(8), "the status tells all")
	g.Expect(w.events.Reasons("uid")).To(Equal([]string{"ImageNotFound", "WaitingForGuest", "Ready", "WaitingForGuest", "Deleting"}))
}

func TestAQuietKindDoesNotTellThatAllIsWellFromTheFirst(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, newPool())
	w.quiet = true
	g.Expect(w.reconcile(t, func(p *capstanv1.NodePool) { conditions.True(p, "Ready", "Ready", "yes") })).To(Succeed())
	g.Expect(w.events.Of("uid")).To(BeEmpty())
}

func TestAStaleCacheTellsNothingTwice(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, newPool())
	stale := newPool()
	g.Expect(w.Get(t.Context(), client.ObjectKeyFromObject(stale), stale)).To(Succeed())
	g.Expect(w.reconcile(t, waiting("0 of 3"))).To(Succeed())

	after := stale.DeepCopy()
	waiting("0 of 3")(after)
	err := (&conditions.Writer{Client: w, Events: &w.events, Summary: "Ready"}).Write(t.Context(), stale, after)
	g.Expect(apierrors.IsConflict(err)).To(BeTrue(), "got %v", err)
	g.Expect(w.events.Of("uid")).To(HaveLen(1))
}

func TestOnlyTheStatusIsWritten(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, newPool())
	g.Expect(w.reconcile(t, func(p *capstanv1.NodePool) { p.Finalizers = []string{"example.org/held"} })).To(Succeed())
	g.Expect(w.writes).To(BeZero(), "metadata was written by whoever changed it")

	g.Expect(w.reconcile(t, func(p *capstanv1.NodePool) {
		p.Labels = map[string]string{"changed": "elsewhere"}
		conditions.True(p, "Ready", "Ready", "fine")
	})).To(Succeed())
	stored := newPool()
	g.Expect(w.Get(t.Context(), client.ObjectKeyFromObject(stored), stored)).To(Succeed())
	g.Expect(stored.Labels).To(BeEmpty())
	g.Expect(conditions.IsTrue(stored, "Ready")).To(BeTrue())
}

func TestAnEmptiedStatusFieldIsWrittenToo(t *testing.T) {
	g := NewWithT(t)
	p := newPool()
	p.Status.Version, p.Status.Conditions = "v1.36.3", []metav1.Condition{{Type: "Old", Status: metav1.ConditionTrue, Reason: "Old"}}
	w := newWorld(t, p)
	g.Expect(w.reconcile(t, func(p *capstanv1.NodePool) {
		p.Status.Version = ""
		conditions.Remove(p, "Old")
	})).To(Succeed())
	stored := newPool()
	g.Expect(w.Get(t.Context(), client.ObjectKeyFromObject(stored), stored)).To(Succeed())
	g.Expect(stored.Status).To(Equal(capstanv1.NodePoolStatus{}))
}

func TestAnObjectThatIsGoneIsNoError(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, newPool())
	g.Expect(w.reconcile(t, func(p *capstanv1.NodePool) {
		g.Expect(w.Delete(t.Context(), newPool())).To(Succeed())
		conditions.False(p, "Ready", "Deleting", "gone")
	})).To(Succeed())
	g.Expect(w.events.Of("uid")).To(BeEmpty())
}

func TestAnObjectThatNothingHoldsAnyMoreIsLeftAlone(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, newPool())
	g.Expect(w.reconcile(t, func(p *capstanv1.NodePool) {
		p.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)}
		conditions.False(p, "Ready", "Deleting", "gone")
	})).To(Succeed())
	g.Expect(w.writes).To(BeZero())
	g.Expect(w.events.Of("uid")).To(BeEmpty())
}

func TestAFailedWriteTellsNoEvent(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, newPool())
	w.fail = errors.New("no connection")
	g.Expect(w.reconcile(t, waiting("0 of 3"))).To(MatchError(And(ContainSubstring("writing the status of"), ContainSubstring("team/shop-linux"), ContainSubstring("no connection"))))
	g.Expect(w.events.Of("uid")).To(BeEmpty(), "the retry would tell it again")
	w.fail = nil
	g.Expect(w.reconcile(t, waiting("0 of 3"))).To(Succeed())
	g.Expect(w.events.Of("uid")).To(HaveLen(1))
}

func TestANoteFitsAnEvent(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, newPool())
	g.Expect(w.reconcile(t, waiting(strings.Repeat("ö", 1000)))).To(Succeed())
	note := w.events.Of("uid")[0].Note
	g.Expect(len(note)).To(BeNumerically("<=", 1024))
	g.Expect(utf8.ValidString(note)).To(BeTrue())
}
