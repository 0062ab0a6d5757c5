package loadbalancer

import (
	"fmt"
	"os"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/outage"
)

// rows returns the cells of the document's lines that have so many of them.
func rows(t *testing.T, cells int) [][]string {
	t.Helper()
	data, err := os.ReadFile("../../docs/errors.md")
	if err != nil {
		t.Fatalf("read the document: %v", err)
	}
	_, section, _ := strings.Cut(string(data), "## When a load-balancer VM is replaced")
	section, _, _ = strings.Cut(section, "\n## ")
	var all [][]string
	for line := range strings.SplitSeq(section, "\n") {
		row := strings.Split(line, "|")
		if len(row) != cells+2 || strings.Contains(line, "---") {
			continue
		}
		for i := range row {
			row[i] = strings.TrimSpace(row[i])
		}
		all = append(all, row[1:cells+1])
	}
	return all
}

func TestTheDocumentSaysWhenVMsAreReplaced(t *testing.T) {
	g := NewWithT(t)
	silence, boot := DefaultSilenceTimeout.String(), DefaultBootTimeout.String()
	var listed []string
	for _, row := range rows(t, 4)[1:] {
		listed = append(listed, row[1]+" "+row[2])
	}
	g.Expect(listed).To(Equal([]string{
		"at once " + capstanv1.ReasonHostLost,
		outage.DefaultHostLossTimeout.String() + " (`--host-loss-timeout`) " + capstanv1.ReasonHostLost,
		"when that is over, or the time comes that the message names " + capstanv1.ReasonRepairHeld,
		"at once " + capstanv1.ReasonVMNotFound,
		"at once " + capstanv1.ReasonEnrolmentLost,
		silence + " " + capstanv1.ReasonAgentSilent,
		silence + " the host's",
		boot + " the host's, or " + capstanv1.ReasonBootTimeout,
		"never -",
		silence + " " + capstanv1.ReasonAgentUnfit,
		boot + " " + capstanv1.ReasonAgentUnfit,
		"never " + capstanv1.ReasonAgentUnfit,
		"never -",
	}))
	g.Expect(Timeouts{}.withDefaults()).To(Equal(Timeouts{Boot: DefaultBootTimeout, Silence: DefaultSilenceTimeout}))
}

func TestTheDocumentSaysHowOftenAgentsAreAsked(t *testing.T) {
	g := NewWithT(t)
	var known []string
	for failures := range 4 {
		known = append(known, retryAfter(failures, true).String())
	}
	g.Expect(rows(t, 2)[1:3]).To(HaveExactElements(
		ContainElement(fmt.Sprintf("every %s, %d times, then as one that was known", bootRetry, bootTries)),
		ContainElement(fmt.Sprintf("after %s, then every %s", strings.Join(known, ", "), lastRetry)),
	))
}
