package orphan

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestTheDocumentTellsTheRulesAsTheyAre(t *testing.T) {
	g := NewWithT(t)
	data, err := os.ReadFile("../../docs/orphans.md")
	g.Expect(err).NotTo(HaveOccurred())
	text, policy := string(data), DefaultPolicy()
	var states []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([A-Z]\\w+)` \\|").FindAllStringSubmatch(text, -1) {
		states = append(states, row[1])
	}
	g.Expect(states).To(ConsistOf(
		string(capstanv1.OrphanWaiting), string(capstanv1.OrphanReported), string(capstanv1.OrphanFrozen), string(capstanv1.OrphanRemoving),
		string(capstanv1.OrphanElsewhere)))
	for name, value := range map[string]string{
		"orphan-sweep-interval": fmt.Sprintf("%.0fm", policy.Interval.Minutes()), "orphan-grace-period": fmt.Sprintf("%.0fm", policy.Grace.Minutes()),
		"orphan-removal": string(policy.Removal), "orphan-freeze-above": fmt.Sprint(policy.FreezeAbove), "orphan-freeze-share": fmt.Sprint(policy.FreezeShare),
	} {
		g.Expect(text).To(ContainSubstring("| `--" + name + "` | `" + value + "` |"))
	}
	g.Expect(text).To(ContainSubstring(capstanv1.RemoveOrphansAnnotation + "="))
	for _, event := range []string{eventFound, eventFrozen, eventRemoved, eventReleased, eventStrayed} {
		g.Expect(text).To(ContainSubstring("`" + event + "`"))
	}
	g.Expect(text).To(ContainSubstring(fmt.Sprintf("room for %d\norphans", capstanv1.MostOrphans)))
}
