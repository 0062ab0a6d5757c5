package addon_test

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

var _ = Describe("The manifests of addons", func() {
	It("are read when the cluster answers, and again only when they change", func(ctx SpecContext) {
		s := unreachable(ctx, withManifests("app"))
		s.manifests(ctx, "app", settings)
		s.expectAddon(ctx, "app", metav1.ConditionFalse, "WaitingForControlPlane", "")
		Expect(read.times(s.namespace, "app")).To(BeZero())
		s.connect(simulatedAPI())
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "")
		for range 2 {
			Expect(s.Delete(ctx, settingsIn("default"))).To(Succeed())
			Eventually(s.has(ctx, settingsIn("default"))).WithContext(ctx).Should(BeTrue())
		}
		Expect(read.times(s.namespace, "app")).To(Equal(1))
		s.rewrite(ctx, "app", settings+"---\n"+account)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "2 objects")
		Expect(read.times(s.namespace, "app")).To(Equal(2))
	})

	It("are bounded for all addons of a cluster together", func(ctx SpecContext) {
		s := newSite(ctx, func(c *cluster) {
			for i := range 6 {
				c.Spec.Addons.Manifests = append(c.Spec.Addons.Manifests, capstanv1.AddonManifests{
					Name: fmt.Sprintf("app-%02d", i), ConfigMapRefs: []capstanv1.ConfigMapReference{{Name: "large"}},
				})
			}
		})
		s.manifests(ctx, "large", settings+"# "+strings.Repeat("x", 200<<10)+"\n")
		s.expectAddon(ctx, "app-00", metav1.ConditionTrue, "Ready", "1 object")
		s.expectAddon(ctx, "app-04", metav1.ConditionFalse, "WaitingForAddons", "waiting for addon app-01")
		s.expectAddon(ctx, "app-05", metav1.ConditionFalse, "InvalidManifests", "with it the addons of the cluster have manifests of more than 1 MiB in all")
		testenv.Update(ctx, env, s.wlc, withManifests())
		s.expectNoAddons(ctx)
	})
})
