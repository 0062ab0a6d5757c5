package kubeversion_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/kubeversion"
)

func TestKubeletsAreNeverNewerAndAtMostThreeMinorVersionsBehind(t *testing.T) {
	for kubelet, fits := range map[string]bool{
		"v1.37.0":  false,
		"v1.36.9":  true,
		"v1.36.0":  true,
		"v1.35.11": true,
		"v1.33.0":  true,
		"v1.32.99": false,
		"v2.36.0":  false,
		"v0.36.0":  false,
		"":         false,
		"latest":   false,
	} {
		t.Run(kubelet, func(t *testing.T) {
			NewWithT(t).Expect(kubeversion.KubeletFits(kubelet, "v1.36.3")).To(Equal(fits))
		})
	}
}

func TestVersionsAreComparedAsNumbers(t *testing.T) {
	g := NewWithT(t)
	g.Expect(kubeversion.Less("v1.36.9", "v1.36.10")).To(BeTrue())
	g.Expect(kubeversion.Less("v1.9.0", "v1.36.0")).To(BeTrue())
	g.Expect(kubeversion.Less("v1.36.3", "v1.36.3")).To(BeFalse())
	g.Expect(kubeversion.Less("", "v1.36.3")).To(BeTrue())
	g.Expect(kubeversion.Less("v1.36.3", "")).To(BeFalse())
	g.Expect(kubeversion.Oldest("v1.36.10", "", "v1.36.9", "v1.37.0")).To(Equal("v1.36.9"))
	g.Expect(kubeversion.Oldest()).To(BeEmpty())
}

func TestStepsBetweenMinorVersions(t *testing.T) {
	g := NewWithT(t)
	steps, ok := kubeversion.MinorSteps("v1.36.4", "v1.37.0")
	g.Expect([]any{steps, ok}).To(Equal([]any{1, true}))
	steps, ok = kubeversion.MinorSteps("v1.37.0", "v1.35.9")
	g.Expect([]any{steps, ok}).To(Equal([]any{-2, true}))
	_, ok = kubeversion.MinorSteps("v1.37.0", "v2.37.0")
	g.Expect(ok).To(BeFalse())
	g.Expect(kubeversion.SameMinor("v1.36.3", "v1.36.14")).To(BeTrue())
	g.Expect(kubeversion.SameMinor("v1.36.3", "v1.37.3")).To(BeFalse())
	g.Expect(kubeversion.SameMinor("", "")).To(BeFalse())
	g.Expect(kubeversion.OldestKubelet("v1.36.3")).To(Equal("v1.33.x"))
	g.Expect(kubeversion.NextMinor("v1.36.3")).To(Equal("v1.37.x"))
}
