package main

import (
	"os/exec"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// What is linked runs as root where every client of a cluster passes, so it is
// listed what may never be.
func TestTheShippedAgentLinksNoKubernetes(t *testing.T) {
	g := NewWithT(t)
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	g.Expect(err).NotTo(HaveOccurred())
	linked := strings.Fields(string(out))
	g.Expect(linked).To(ContainElement("github.com/capstan-k8s/capstan/internal/lbagent"))
	for _, pkg := range linked {
		for _, banned := range []string{
			"k8s.io/", "sigs.k8s.io/",
			"github.com/capstan-k8s/capstan/api", "github.com/capstan-k8s/capstan/controllers",
			"github.com/capstan-k8s/capstan/internal/fabric", "github.com/capstan-k8s/capstan/internal/testenv",
			"github.com/capstan-k8s/capstan/internal/agent", "github.com/capstan-k8s/capstan/internal/driver",
			"github.com/capstan-k8s/capstan/internal/lbplan", "github.com/capstan-k8s/capstan/internal/lbclient",
		} {
			g.Expect(strings.HasPrefix(pkg, banned)).To(BeFalse(), pkg)
		}
	}
}
