package conditions_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func newPool() *capstanv1.NodePool {
	return &capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "shop-linux", UID: "uid", Generation: 7}}
}

func TestSummarizeTakesTheMostImportantThatIsNotTrue(t *testing.T) {
	isTrue := func(p *capstanv1.NodePool, name string) { conditions.True(p, name, "Fine", "fine") }
	for what, tc := range map[string]struct {
		set             func(*capstanv1.NodePool)
		status          metav1.ConditionStatus
		reason, message string
	}{
		"all are True": {
			func(p *capstanv1.NodePool) { isTrue(p, "First"); isTrue(p, "Second") },
			metav1.ConditionTrue, "AllGood", "100% good",
		},
		"the second is False": {
			func(p *capstanv1.NodePool) {
				isTrue(p, "First")
				conditions.False(p, "Second", "Waiting", "disk at 100%% of %s", "it")
			},
			metav1.ConditionFalse, "Waiting", "disk at 100% of it",
		},
		"both are not True: the order of importance decides, not the order of setting": {
			func(p *capstanv1.NodePool) {
				conditions.False(p, "Second", "Waiting", "second")
				conditions.Unknown(p, "First", "NotAnswering", "first")
			},
			metav1.ConditionUnknown, "NotAnswering", "first",
		},
		"one was never set": {
			func(p *capstanv1.NodePool) { isTrue(p, "First") },
			metav1.ConditionUnknown, "NotObserved", "Second is not known yet",
		},
	} {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			p := newPool()
			tc.set(p)
			conditions.Summarize(p, "Ready", "AllGood", "100% good", "First", "Second")
			g.Expect(conditions.Get(p, "Ready")).To(HaveValue(And(
				HaveField("Status", tc.status), HaveField("Reason", tc.reason), HaveField("Message", tc.message),
				HaveField("ObservedGeneration", int64(7)),
			)))
		})
	}
}

func TestTransitionTimeTellsSinceWhen(t *testing.T) {
	g := NewWithT(t)
	p := newPool()
	since := metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	p.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse, Reason: "WaitingForMachines", Message: "1 of 3", LastTransitionTime: since}}
	conditions.False(p, "Ready", "WaitingForMachines", "2 of 3")
	g.Expect(conditions.Get(p, "Ready").LastTransitionTime).To(Equal(since), "it has waited since then, whatever the count is")
	conditions.True(p, "Ready", "Ready", "3 of 3")
	g.Expect(conditions.Get(p, "Ready").LastTransitionTime.After(since.Time)).To(BeTrue())
}

func TestATrueConditionOfAnOlderSpecIsNotCurrent(t *testing.T) {
	g := NewWithT(t)
	p := newPool()
	g.Expect(conditions.IsCurrentlyTrue(p, "Ready")).To(BeFalse())
	conditions.True(p, "Ready", "Ready", "fine")
	g.Expect(conditions.IsCurrentlyTrue(p, "Ready")).To(BeTrue())
	p.Generation++
	g.Expect(conditions.IsTrue(p, "Ready")).To(BeTrue())
	g.Expect(conditions.IsCurrentlyTrue(p, "Ready")).To(BeFalse())
}

func TestAConditionThatHasCountedAsTrueStaysSoUntilItIsNot(t *testing.T) {
	for name, tc := range map[string]struct {
		status             metav1.ConditionStatus
		older              bool
		fresh, wasTrueOnce bool
	}{
		"true of this spec":     {status: metav1.ConditionTrue, fresh: true, wasTrueOnce: true},
		"true of an older one":  {status: metav1.ConditionTrue, older: true, wasTrueOnce: true},
		"false of this spec":    {status: metav1.ConditionFalse},
		"false of an older one": {status: metav1.ConditionFalse, older: true},
		"unknown":               {status: metav1.ConditionUnknown},
		"not there":             {},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			p := newPool()
			if tc.status != "" {
				p.Status.Conditions = []metav1.Condition{{Type: "Ready", Status: tc.status, ObservedGeneration: p.Generation}}
			}
			if tc.older {
				p.Generation++
			}
			g.Expect(conditions.IsStillTrue(p, "Ready", false)).To(Equal(tc.fresh))
			g.Expect(conditions.IsStillTrue(p, "Ready", true)).To(Equal(tc.wasTrueOnce))
		})
	}
}

func TestAMessageFitsWhatTheAPIServerAccepts(t *testing.T) {
	g := NewWithT(t)
	p := newPool()
	conditions.False(p, "Ready", "Long", "%s", strings.Repeat("ö", 40000)+"\xff")
	message := conditions.Get(p, "Ready").Message
	g.Expect(len(message)).To(BeNumerically("<=", 32768))
	g.Expect(utf8.ValidString(message)).To(BeTrue())
}
