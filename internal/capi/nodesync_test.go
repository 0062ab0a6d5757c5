package capi

import (
	"regexp"
	"slices"
	"testing"

	. "github.com/onsi/gomega"
)

func TestNodesGetAllMetadataOfTheirMachinesButClusterAPIsOwn(t *testing.T) {
	expressions := nodeMetadata()
	for key, want := range map[string]bool{
		"tier":                                 true,
		"machine-template-has":                 true,
		"machine-template-hash":                false,
		"machine-template-hashes":              true,
		"example.org/tier":                     true,
		"topology.kubernetes.io/zone":          true,
		"capstan.dev/node-pool":                true,
		"x-k8s.io/tier":                        true,
		"io/tier":                              true,
		"other.x-k8s.io/tier":                  true,
		"mycluster.x-k8s.io/tier":              true,
		"cluster.x-k8s.io.example.org/tier":    true,
		"cluster.x-k8s.io":                     true,
		"app.version":                          true,
		"example.org/cluster.x-k8s.io":         true,
		"cluster.x-k8s.io/cluster-name":        false,
		"topology.cluster.x-k8s.io/owned":      false,
		"a.b.machine.cluster.x-k8s.io/whatsit": false,
	} {
		t.Run(key, func(t *testing.T) {
			matches := slices.ContainsFunc(expressions, func(e *regexp.Regexp) bool { return e.MatchString(key) })
			NewWithT(t).Expect(matches).To(Equal(want))
		})
	}
}
