package ipam

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestTheDocumentTellsWhyAddressesAreHeld(t *testing.T) {
	g := NewWithT(t)
	section := sectionOf(t, "addresses.md", "Addresses without a claim")
	var reasons []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z]\w+) \| [^|]+ \| [^|]+ \|$`).FindAllStringSubmatch(section, -1) {
		if row[1] != "Reason" {
			reasons = append(reasons, row[1])
		}
	}
	g.Expect(reasons).To(Equal([]string{
		string(capstanv1.UnclaimedBuried), string(capstanv1.UnclaimedInUse), string(capstanv1.UnclaimedGracePeriod),
		string(capstanv1.UnclaimedWaitingForHost), string(capstanv1.UnclaimedOrphansFound),
		string(capstanv1.UnclaimedForeignUser),
	}))
	for _, text := range []string{
		fmt.Sprintf("%.0f min after the last one was known", abandonedGrace.Minutes()), fmt.Sprintf("again every %.0f min", askHostsAgain.Minutes()),
		fmt.Sprintf("the %d that have been held", capstanv1.MostUnclaimed), "kubectl delete addressreservation <network>-<address>",
	} {
		g.Expect(section).To(ContainSubstring(text))
	}
}

func TestTheDocumentTellsWhatNoneAbandonedSays(t *testing.T) {
	want := []string{"True " + capstanv1.ReasonNoneAbandoned}
	for _, of := range abandonedFor {
		want = append(want, "False "+of.condition)
	}
	var told []string
	for _, row := range regexp.MustCompile(`(?m)^\| (True|False) \| (\w+) \| [^|]+ \|$`).FindAllStringSubmatch(sectionOf(t, "errors.md", "When a network is full"), -1) {
		told = append(told, row[1]+" "+row[2])
	}
	NewWithT(t).Expect(told).To(Equal(want))
}

// sectionOf is what a document says under a heading.
func sectionOf(t *testing.T, document, heading string) string {
	t.Helper()
	g := NewWithT(t)
	data, err := os.ReadFile("../../docs/" + document)
	g.Expect(err).NotTo(HaveOccurred())
	_, section, found := strings.Cut(string(data), "\n## "+heading+"\n")
	g.Expect(found).To(BeTrue())
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}
