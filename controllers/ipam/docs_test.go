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
	data, err := os.ReadFile("../../docs/addresses.md")
	g.Expect(err).NotTo(HaveOccurred())
	_, section, found := strings.Cut(string(data), "\n## Addresses without a claim\n")
	g.Expect(found).To(BeTrue())
	section, _, _ = strings.Cut(section, "\n## ")
	var reasons []string
	for _, row := range regexp.MustCompile(`(?m)^\| ([A-Z]\w+) \| [^|]+ \| [^|]+ \|$`).FindAllStringSubmatch(section, -1) {
		if row[1] != "Reason" {
			reasons = append(reasons, row[1])
		}
	}
	g.Expect(reasons).To(Equal([]string{
		string(capstanv1.UnclaimedBuried), string(capstanv1.UnclaimedInUse), string(capstanv1.UnclaimedGracePeriod),
		string(capstanv1.UnclaimedWaitingForHost), string(capstanv1.UnclaimedOrphansFound),
	}))
	for _, text := range []string{
		fmt.Sprintf("%.0f min after the last one was known", abandonedGrace.Minutes()), fmt.Sprintf("again every %.0f min", askHostsAgain.Minutes()),
		fmt.Sprintf("the %d that have been held", capstanv1.MostUnclaimed), "kubectl delete addressreservation <network>-<address>",
	} {
		g.Expect(section).To(ContainSubstring(text))
	}
	errors, err := os.ReadFile("../../docs/errors.md")
	g.Expect(err).NotTo(HaveOccurred())
	for _, of := range abandonedFor {
		g.Expect(string(errors)).To(ContainSubstring("| False | " + of.condition + " |"))
	}
}
