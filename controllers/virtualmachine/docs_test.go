package virtualmachine

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func document(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/" + name)
	if err != nil {
		t.Fatalf("read the document: %v", err)
	}
	return string(data)
}

func TestTheDiagramDrawsEveryTransitionAndNoOther(t *testing.T) {
	g := NewWithT(t)
	var drawn, coded []string
	for _, arrow := range regexp.MustCompile(`(?m)^ +(\w+) --> (\w+)`).FindAllStringSubmatch(document(t, "virtualmachine-states.md"), -1) {
		drawn = append(drawn, arrow[1]+"->"+arrow[2])
	}
	for from, all := range transitions() {
		for _, to := range all {
			coded = append(coded, fmt.Sprintf("%s->%s", from, to))
		}
	}
	g.Expect(drawn).To(ConsistOf(coded))
}

func TestNothingLeadsBackFromBehindThePlace(t *testing.T) {
	g := NewWithT(t)
	for _, was := range order {
		for _, is := range order {
			if placed(was) && !placed(is) {
				g.Expect(mayFollow(was, is)).To(BeFalse(), "%s -> %s", was, is)
			}
		}
		g.Expect(mayFollow(was, capstanv1.VMDeleting)).To(BeTrue())
		g.Expect(mayFollow(capstanv1.VMDeleting, was)).To(BeFalse())
	}
}

func TestTheDocumentListsEveryOutcome(t *testing.T) {
	g := NewWithT(t)
	var listed, coded []string
	for line := range strings.SplitSeq(document(t, "errors.md"), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 7 || strings.Contains(line, "---") || strings.Contains(line, "Tried again") {
			continue
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		listed = append(listed, strings.Join(cells[1:5], " "))
	}
	for _, o := range outcomes {
		phase := string(o.phase)
		if phase == "" {
			phase = "any"
		}
		coded = append(coded, fmt.Sprintf("%s %s %s %s", o.class, phase, o.reason, o.requeue))
	}
	g.Expect(listed).To(Equal(coded))
}

func TestEveryClassHasAnOutcomeInEveryPhase(t *testing.T) {
	for _, class := range []hostapi.Class{
		hostapi.NotFound, hostapi.Conflict, hostapi.NotOwned, hostapi.OutOfCapacity, hostapi.VolumeFaulted,
		hostapi.HostUnreachable, hostapi.Transient, hostapi.InvalidArgument,
	} {
		for _, phase := range append(order, capstanv1.VMDeleting) {
			t.Run(fmt.Sprintf("%s in %s", class, phase), func(t *testing.T) {
				g := NewWithT(t)
				w := waitOf(phase, fmt.Errorf("doing it: %w", hostapi.Errorf(class, "EnsureVM", "", "no")))
				g.Expect(w).NotTo(BeNil())
				g.Expect(w.requeue).To(BeNumerically(">", 0))
				g.Expect(w.message).To(ContainSubstring("no"))
				g.Expect(w.unknown).To(Equal(class == hostapi.HostUnreachable), "only silence leaves the VM unknown")
			})
		}
	}
}

func TestAnErrorOfTheAPIServerIsNoOutcomeOfAHost(t *testing.T) {
	g := NewWithT(t)
	g.Expect(waitOf(capstanv1.VMCreating, os.ErrPermission)).To(BeNil())
}

func TestTheDocumentSaysWhenAConsoleIsTold(t *testing.T) {
	g := NewWithT(t)
	text := document(t, "virtualmachine-states.md")
	g.Expect(text).To(ContainSubstring("%.0f s to %.0f s", pollSlow.Seconds(), pollRunning.Seconds()))
	g.Expect(text).To(ContainSubstring("for %.0f min", slowGuest.Minutes()))
	g.Expect(text).To(ContainSubstring("after %.0f min", readAgain.Minutes()))
	g.Expect(document(t, "errors.md")).To(ContainSubstring("for %.0f min", slowGuest.Minutes()))
}
