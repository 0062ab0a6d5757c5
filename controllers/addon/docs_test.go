package addon

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatalf("read what is compared: %v", err)
	}
	return string(data)
}

// triedAgain is when, by reason, as the document has it.
func triedAgain(t *testing.T) map[string]string {
	t.Helper()
	_, section, _ := strings.Cut(read(t, "docs/errors.md"), "## When an addon is not applied")
	section, _, _ = strings.Cut(section, "\n## ")
	again := map[string]string{}
	for line := range strings.SplitSeq(section, "\n") {
		if cells := strings.Split(line, "|"); len(cells) == 5 && !strings.Contains(line, "---") && !strings.Contains(line, "Tried again") {
			again[strings.TrimSpace(cells[1])] = strings.TrimSpace(cells[2])
		}
	}
	return again
}

// coded are the reasons that the package's source names.
func coded(t *testing.T) []string {
	t.Helper()
	values := map[string]string{}
	for _, constant := range regexp.MustCompile(`(Reason\w+) += "(\w+)"`).FindAllStringSubmatch(read(t, "api/v1alpha1/conditions.go"), -1) {
		values[constant[1]] = constant[2]
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatalf("list the package's source: %v", err)
	}
	found := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, used := range regexp.MustCompile(`capstanv1\.(Reason\w+)`).FindAllStringSubmatch(read(t, "controllers/addon/"+file), -1) {
			found[values[used[1]]] = true
		}
	}
	return slices.Collect(maps.Keys(found))
}

func TestTheDocumentListsEveryReason(t *testing.T) {
	g := NewWithT(t)
	reasons := append(slices.Collect(maps.Keys(triedAgain(t))), capstanv1.ReasonReady)
	g.Expect(reasons).To(ConsistOf(coded(t)))
}

func TestTheDocumentSaysWhenAddonsAreTriedAgain(t *testing.T) {
	growing := fmt.Sprintf("after a tenth of the time that it has taken, %s to %s", soonest, latest)
	NewWithT(t).Expect(triedAgain(t)).To(And(
		HaveKeyWithValue(capstanv1.ReasonProgressing, "after "+goOn.String()+", behind clusters that wait"),
		HaveKeyWithValue(capstanv1.ReasonWaitingForControlPlane, "when the cluster connects, and every "+absentFor.String()),
		HaveKeyWithValue(capstanv1.ReasonWaitingForKind, growing),
		HaveKeyWithValue(capstanv1.ReasonWaitingForHealth, growing),
		HaveKeyWithValue(capstanv1.ReasonDeleting, growing),
		HaveKeyWithValue(capstanv1.ReasonUnhealthy, refused.String()),
		HaveKeyWithValue(capstanv1.ReasonManifestsRejected, refused.String()),
		HaveKeyWithValue(capstanv1.ReasonNotOwned, refused.String()),
	))
}

func TestTheDocumentSaysHowOftenDriftIsMended(t *testing.T) {
	NewWithT(t).Expect(read(t, "docs/addons.md")).To(ContainSubstring(fmt.Sprintf("every %d minutes", int(DefaultResync.Minutes()))))
}

func TestTheDocumentSaysForHowLongAClusterHasItsTurn(t *testing.T) {
	NewWithT(t).Expect(read(t, "docs/addons.md")).To(ContainSubstring(fmt.Sprintf("worked on for %d s at a time", int(DefaultTurn.Seconds()))))
}
