package addon_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

const other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"

var _ = Describe("An object that moves between addons", func() {
	DescribeTable("stays the same object",
		func(ctx SpecContext, from, to string) {
			s := newSite(ctx, withManifests("one", "two"))
			mine := map[string]string{"one": account, "two": other}
			for name, text := range mine {
				if name == from {
					text += "---\n" + settings
				}
				s.manifests(ctx, name, text)
			}
			s.expectAddon(ctx, "two", metav1.ConditionTrue, "Ready", "")
			before := settingsIn("default")
			Expect(s.has(ctx, before)()).To(BeTrue())

			s.rewrite(ctx, to, mine[to]+"---\n"+settings)
			s.expectAddon(ctx, to, metav1.ConditionFalse, "NotOwned", "is of addon "+from)
			s.rewrite(ctx, from, mine[from])
			s.expectAddon(ctx, to, metav1.ConditionTrue, "Ready", "2 objects")
			s.expectAddon(ctx, from, metav1.ConditionTrue, "Ready", "1 object")
			after := settingsIn("default")
			Expect(s.has(ctx, after)()).To(BeTrue())
			Expect(after.UID).To(Equal(before.UID))
			Expect(after.Labels).To(HaveKeyWithValue(capstanv1.AddonLabel, to))
		},
		Entry("to a later one", "one", "two"),
		Entry("to an earlier one", "two", "one"),
	)

	It("is not deleted while it cannot be told who wants it", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("one", "two"))
		s.manifests(ctx, "one", account+"---\n"+settings)
		s.manifests(ctx, "two", other)
		s.expectAddon(ctx, "two", metav1.ConditionTrue, "Ready", "")
		s.rewrite(ctx, "two", "a: b: c")
		s.expectAddon(ctx, "two", metav1.ConditionFalse, "InvalidManifests", "")
		s.rewrite(ctx, "one", account)
		s.expectAddon(ctx, "one", metav1.ConditionTrue, "Ready", "1 object")
		Expect(s.has(ctx, settingsIn("default"))()).To(BeTrue())
		s.rewrite(ctx, "two", other)
		Eventually(s.has(ctx, settingsIn("default"))).WithContext(ctx).Should(BeFalse())
		Expect(s.has(ctx, &corev1.ConfigMap{ObjectMeta: named("default", "other")})()).To(BeTrue())
	})
})
