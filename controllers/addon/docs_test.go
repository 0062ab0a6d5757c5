package addon

import (
	"fmt"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestTheDocumentSaysWhenAddonsAreTriedAgain(t *testing.T) {
	g := NewWithT(t)
	data, err := os.ReadFile("../../docs/errors.md")
	g.Expect(err).NotTo(HaveOccurred())
	_, section, found := strings.Cut(string(data), "## When an addon is not applied")
	g.Expect(found).To(BeTrue())
	section, _, _ = strings.Cut(section, "\n## ")
	again := map[string]string{}
	for line := range strings.SplitSeq(section, "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			again[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		}
	}
	growing := fmt.Sprintf("after a tenth of the time that it has taken, %s to %s", soonest, latest)
	g.Expect(again).To(And(
		HaveKeyWithValue(capstanv1.ReasonWaitingForControlPlane, "when the cluster connects, and every "+absentFor.String()),
		HaveKeyWithValue(capstanv1.ReasonWaitingForKind, growing),
		HaveKeyWithValue(capstanv1.ReasonWaitingForHealth, growing),
		HaveKeyWithValue(capstanv1.ReasonDeleting, growing),
		HaveKeyWithValue(capstanv1.ReasonUnhealthy, refused.String()),
		HaveKeyWithValue(capstanv1.ReasonManifestsRejected, refused.String()),
		HaveKeyWithValue(capstanv1.ReasonNotOwned, refused.String()),
		HaveKey(capstanv1.ReasonWaitingForAddons), HaveKey(capstanv1.ReasonWaitingForConfigMap),
		HaveKey(capstanv1.ReasonInvalidManifests), HaveKey(capstanv1.ReasonInternalError),
	))
}

func TestTheDocumentSaysHowOftenDriftIsMended(t *testing.T) {
	g := NewWithT(t)
	data, err := os.ReadFile("../../docs/addons.md")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(data)).To(ContainSubstring(fmt.Sprintf("every %d minutes", int(DefaultResync.Minutes()))))
}
