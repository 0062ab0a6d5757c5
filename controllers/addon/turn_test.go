package addon_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// slow is a connection to a workload cluster whose API server takes a second for each
// object that is applied or deleted, and has the object named halt wait.
type slow struct {
	client.Client
	halt string
	goOn chan struct{}

	mu      sync.Mutex
	applied map[string]int
}

// Apply implements client.Client.
func (s *slow) Apply(ctx context.Context, intent runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
	object, _ := intent.(runtime.Unstructured)
	name := (&unstructured.Unstructured{Object: object.UnstructuredContent()}).GetName()
	if name == s.halt {
		select {
		case <-s.goOn:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	now.pass(time.Second)
	s.mu.Lock()
	s.applied[name]++
	s.mu.Unlock()
	return s.Client.Apply(ctx, intent, opts...)
}

// Delete implements client.Client.
func (s *slow) Delete(ctx context.Context, obj client.Object, opts ...client.DeleteOption) error {
	now.pass(time.Second)
	return s.Client.Delete(ctx, obj, opts...)
}

// times returns how often each object was applied, but for the inventory.
func (s *slow) times() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	times := map[string]int{}
	for name, count := range s.applied {
		if !strings.HasPrefix(name, "capstan-addon-") {
			times[name] = count
		}
	}
	return times
}

func manyAccounts(count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: account-%02d}\n", i)
	}
	return text.String()
}

var _ = Describe("Addons of many objects in a slow cluster", func() {
	It("are gone on with where their turn was over, and told of meanwhile", func(ctx SpecContext) {
		DeferCleanup(func() { now.ahead.Store(0) })
		s := unreachable(ctx, withManifests("large", "small"))
		s.manifests(ctx, "large", manyAccounts(50))
		s.manifests(ctx, "small", settings)
		api := &slow{Client: simulatedAPI(), halt: "account-45", goOn: make(chan struct{}), applied: map[string]int{}}
		s.connect(api)
		s.expectAddon(ctx, "large", metav1.ConditionFalse, "Progressing", " of 50 objects applied")
		s.expectAddon(ctx, "small", metav1.ConditionFalse, "WaitingForAddons", "waiting for addon large")
		env.ExpectCondition(ctx, s.wlc, capstanv1.AddonsReadyCondition, metav1.ConditionFalse, "Progressing", MatchRegexp("^large: [1-4][0-9] of 50 objects applied, since .*; 1 more not ready$"))
		Eventually(api.times).WithContext(ctx).Should(And(HaveLen(45), HaveEach(1)))

		close(api.goOn)
		s.expectAddon(ctx, "large", metav1.ConditionTrue, "Ready", "50 objects applied and well")
		s.expectAddon(ctx, "small", metav1.ConditionTrue, "Ready", "1 object applied and well")
	})

	It("are as ready as before while all of them is applied again", func(ctx SpecContext) {
		DeferCleanup(func() { now.ahead.Store(0) })
		s := newSite(ctx, withManifests("large"))
		s.manifests(ctx, "large", manyAccounts(50))
		ready := s.expectAddon(ctx, "large", metav1.ConditionTrue, "Ready", "50 objects applied and well")
		api := &slow{Client: s.Client, applied: map[string]int{}}
		s.connect(api)
		Eventually(func() int { return api.times()["account-49"] }).WithContext(ctx).Should(BeNumerically(">", 1))
		after := s.expectAddon(ctx, "large", metav1.ConditionTrue, "Ready", "50 objects applied and well")
		Expect(after.Conditions[0].LastTransitionTime).To(Equal(ready.Conditions[0].LastTransitionTime))
		Expect(heard.Reasons(s.wlc.UID)).NotTo(ContainElement("Progressing"))
	})

	It("are deleted in turns, too", func(ctx SpecContext) {
		DeferCleanup(func() { now.ahead.Store(0) })
		s := newSite(ctx, withManifests("large"))
		s.manifests(ctx, "large", manyAccounts(50))
		s.expectAddon(ctx, "large", metav1.ConditionTrue, "Ready", "50 objects applied and well")
		began := now.Now()
		s.connect(&slow{Client: s.Client, applied: map[string]int{}})
		testenv.Update(ctx, env, s.wlc, withManifests())
		s.expectNoAddons(ctx)
		Expect(now.Since(began)).To(BeNumerically(">=", 50*time.Second))
	})

	It("lose in turns what leaves their manifests, and wait for none of it that was not asked to go", func(ctx SpecContext) {
		DeferCleanup(func() { now.ahead.Store(0) })
		s := newSite(ctx, withManifests("large"))
		s.manifests(ctx, "large", settings+manyAccounts(50))
		s.expectAddon(ctx, "large", metav1.ConditionTrue, "Ready", "51 objects applied and well")
		s.connect(&slow{Client: s.Client, applied: map[string]int{}})
		s.rewrite(ctx, "large", settings)
		s.expectAddon(ctx, "large", metav1.ConditionTrue, "Ready", "1 object applied and well")
		list := &corev1.ServiceAccountList{}
		Expect(s.List(ctx, list)).To(Succeed())
		Expect(list.Items).NotTo(ContainElement(HaveField("Name", HavePrefix("account-"))))
		Expect(heard.Reasons(s.wlc.UID)).NotTo(ContainElement("WaitingForHealth"))
	})
})
