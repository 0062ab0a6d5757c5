package main

import (
	"os/exec"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// What is linked runs with the rights of a hypervisor's administrator, so it is
// listed what may never be.
func TestTheShippedAgentLinksNeitherKubernetesNorASimulator(t *testing.T) {
	for _, system := range []string{"linux", "windows"} {
		t.Run(system, func(t *testing.T) {
			g := NewWithT(t)
			list := exec.CommandContext(t.Context(), "go", "list", "-deps", ".")
			list.Env = append(list.Environ(), "GOOS="+system, "CGO_ENABLED=0")
			out, err := list.Output()
			g.Expect(err).NotTo(HaveOccurred())
			linked := strings.Fields(string(out))
			g.Expect(linked).To(ContainElement("github.com/capstan-k8s/capstan/internal/agent"))
			for _, pkg := range linked {
				for _, banned := range []string{
					"k8s.io/", "sigs.k8s.io/",
					"github.com/capstan-k8s/capstan/internal/driver/simulated", "github.com/capstan-k8s/capstan/internal/driver/conformance",
					"github.com/capstan-k8s/capstan/internal/fabric", "github.com/capstan-k8s/capstan/internal/testenv",
					"github.com/capstan-k8s/capstan/api", "github.com/capstan-k8s/capstan/controllers",
				} {
					g.Expect(strings.HasPrefix(pkg, banned)).To(BeFalse(), pkg)
				}
			}
		})
	}
}
