package agent_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const year = 365 * 24 * time.Hour

func TestClockSkewMakesNothingYoungOrEverlasting(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		then time.Time
		old  bool
	}{
		"a second ago":                           {now.Add(-time.Second), false},
		"longer ago than anything is kept":       {now.Add(-agent.KeepOperations), true},
		"ahead by what a time server corrects":   {now.Add(time.Second), false},
		"ahead, since the clock was set back":    {now.Add(year), true},
		"ahead by more than there is between":    {now.AddDate(400, 0, 0), true},
		"before the clock of the host was right": {time.Time{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			old := agent.Age(now, test.then) >= agent.KeepOperations
			NewWithT(t).Expect(old).To(Equal(test.old))
		})
	}
}

func TestClockSkewNeitherStartsNorBootsAnything(t *testing.T) {
	w := newWorld(t)
	_, err := w.agent.EnsureVM(t.Context(), wanted("vm-1"))
	w.Expect(err).NotTo(HaveOccurred())
	before, err := w.agent.Hello(t.Context())
	w.Expect(err).NotTo(HaveOccurred())
	for _, skew := range []time.Duration{-year, 2 * year, -agent.KeepOperations} {
		w.clock.Advance(skew)
		hello, err := w.agent.Hello(t.Context())
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(hello).To(Equal(before))
		vm, err := w.agent.GetVM(t.Context(), "vm-1")
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(vm.State).To(Equal(hostapi.StateRunning))
	}
	w.Expect(w.ops()).To(Equal([]string{"EnsureVM"}))
}
