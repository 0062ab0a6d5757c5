package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

func TestKindsOfFaultsHaveNamesOfTheirOwn(t *testing.T) {
	g := NewWithT(t)
	seen := map[string]bool{}
	for _, k := range kinds() {
		g.Expect(seen).NotTo(HaveKey(k.name))
		seen[k.name] = true
		g.Expect(k.share).To(BeNumerically(">", 0), k.name)
		g.Expect(k.strike).NotTo(BeNil(), k.name)
	}
}

func TestKindsOfFaultsAreDocumented(t *testing.T) {
	g := NewWithT(t)
	text, err := os.ReadFile("../../docs/chaos.md")
	g.Expect(err).NotTo(HaveOccurred())
	_, table, found := strings.Cut(string(text), "\n| Kind |")
	g.Expect(found).To(BeTrue(), "docs/chaos.md has a table of kinds")
	table, _, _ = strings.Cut(table, "\n\n")
	var documented, known []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		documented = append(documented, row[1])
	}
	for _, k := range kinds() {
		known = append(known, k.name)
	}
	g.Expect(documented).To(ConsistOf(known), "docs/chaos.md has each kind that there is, and no other")
}

func TestKindsAreChosenByName(t *testing.T) {
	g := NewWithT(t)
	chosen, err := kindsNamed("manager-killed,host-lost")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(chosen).To(HaveLen(2))
	g.Expect([]string{chosen[0].name, chosen[1].name}).To(Equal([]string{"manager-killed", "host-lost"}))
	g.Expect(kindsNamed("")).To(HaveLen(len(kinds())))
	_, err = kindsNamed("manager-tickled")
	g.Expect(err).To(MatchError(ContainSubstring(`no kind of fault "manager-tickled": there are manager-killed`)))
}

func TestOnlyWhatChangedSomethingIsCounted(t *testing.T) {
	g := NewWithT(t)
	tally := newTally([]kind{{name: "b"}, {name: "a"}})
	tally.tried("a")
	tally.tried("a")
	tally.took("a")
	g.Expect(tally.counted).To(Equal(1))
	g.Expect(tally.table()).To(Equal("KIND OF FAULT  TRIED  CHANGED SOMETHING\na              2      1\nb              0      0\n"))
}

func TestAKindThatNeverChangedAnythingIsAFinding(t *testing.T) {
	g := NewWithT(t)
	tally := newTally([]kind{{name: "works"}, {name: "idle"}, {name: "unlucky"}})
	for range enoughTries {
		tally.tried("works")
		tally.tried("idle")
	}
	tally.took("works")
	tally.tried("unlucky")
	g.Expect(tally.idle()).To(ConsistOf(finding{blind, "idle was tried 3 times and never changed anything"}))
}
