package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
)

// tally counts faults.
type tally struct {
	names   []string
	byKind  map[string]*numbers
	counted int
	acts    int
}

// numbers are how often a kind of fault was tried, and how often it changed something.
type numbers struct{ tried, took int }

func newTally(kinds []kind) *tally {
	t := &tally{byKind: map[string]*numbers{}}
	for _, k := range kinds {
		t.names = append(t.names, k.name)
		t.byKind[k.name] = &numbers{}
	}
	return t
}

func (t *tally) tried(kind string) { t.byKind[kind].tried++ }

func (t *tally) took(kind string) {
	t.byKind[kind].took++
	t.counted++
}

// enoughTries is how often a kind of fault must have been tried to be expected to have
// changed something: it may have had bad luck once or twice.
const enoughTries = 3

// idle tells which kinds were tried and never changed anything, so that nothing is known
// of what they do.
func (t *tally) idle() []finding {
	var found []finding
	for _, name := range t.names {
		if n := t.byKind[name]; n.tried >= enoughTries && n.took == 0 {
			found = append(found, finding{blind, fmt.Sprintf("%s was tried %d times and never changed anything", name, n.tried)})
		}
	}
	return found
}

// table is what there was of each kind.
func (t *tally) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "KIND OF FAULT\tTRIED\tCHANGED SOMETHING")
	for _, name := range slices.Sorted(slices.Values(t.names)) {
		fmt.Fprintf(w, "%s\t%d\t%d\n", name, t.byKind[name].tried, t.byKind[name].took)
	}
	_ = w.Flush()
	return b.String()
}

// report tells what it all came to, and returns an error if anything is wrong.
func (s *storm) report(converged bool) error {
	f := s.auditor.findings
	s.screen.Begin("What befell whom")
	s.screen.Text(s.tally.table())
	s.screen.Step(fmt.Sprintf("the user did %d things", s.tally.acts))
	s.screen.Step(s.auditor.seen.String())
	f.add(s.tally.idle()...)
	lines := f.lines()
	if len(lines) > 0 {
		s.screen.Begin(fmt.Sprintf("%d findings; to repeat: %s", len(lines), s.command()))
		s.screen.Text(strings.Join(lines, "\n") + "\n")
		s.screen.Step("logs of all processes are in " + s.Dir + "/logs")
	}
	answer := "no"
	if converged {
		answer = "yes"
	}
	s.screen.Plain("RESULT faults=%d duplicates=%d orphans=%d lost=%d converged=%s", s.tally.counted, f.count(duplicate), f.count(orphan), f.count(lost), answer)
	if len(lines) > 0 || !converged {
		return errFindings
	}
	return nil
}

// command repeats what was done.
func (s *storm) command() string {
	command := fmt.Sprintf("make chaos SEED=%d FAULTS=%d", s.seed, s.faults)
	if s.plant != "" {
		command += " PLANT=" + s.plant
	}
	if s.only != "" {
		command += " ONLY=" + s.only
	}
	return command
}
