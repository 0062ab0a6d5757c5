package main

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func TestAnAuditorThatHardlyLookedHasAFinding(t *testing.T) {
	whole := sight{looks: 3000, lasted: 8 * time.Minute, readings: 900, deeds: 80, heard: 500}
	for name, c := range map[string]struct {
		change func(*sight)
		says   string
	}{
		"has seen everything":   {func(*sight) {}, ""},
		"was on a busy machine": {func(s *sight) { s.looks, s.readings = 300, 60 }, ""},
		"hardly looked":         {func(s *sight) { s.looks = 30 }, "looked at the hosts only 30 times in 480 s"},
		"never looked":          {func(s *sight) { s.looks = 0 }, "looked at the hosts only 0 times in 480 s"},
		"hardly read":           {func(s *sight) { s.readings = 2 }, "read what the management cluster says only 2 times in 480 s"},
		"judged nothing":        {func(s *sight) { s.deeds = 0 }, "judged nothing that hosts were told to take away"},
		"came too late":         {func(s *sight) { s.missed = 7 }, "7 things that hosts were told to take away were forgotten"},
		"heard nobody":          {func(s *sight) { s.heard = 0 }, "heard nobody who waited"},
	} {
		t.Run(name, func(t *testing.T) {
			g, s := NewWithT(t), whole
			c.change(&s)
			found := s.lacks()
			if c.says == "" {
				g.Expect(found).To(BeEmpty())
				return
			}
			g.Expect(found).To(HaveLen(1))
			g.Expect(found[0].class).To(Equal(blind))
			g.Expect(found[0].what).To(ContainSubstring(c.says))
		})
	}
}

func TestWhatWasForgottenBeforeItWasJudgedIsCounted(t *testing.T) {
	g := NewWithT(t)
	var s sight
	s.judge(0, fabricapi.Deed{Number: 1})
	s.judge(1, fabricapi.Deed{Number: 2, Electorate: &fabricapi.Electorate{Voting: 3, Running: 3}})
	g.Expect(s).To(Equal(sight{deeds: 2, votes: 1}))
	s.judge(2, fabricapi.Deed{Number: 6})
	g.Expect(s.missed).To(Equal(3))
}
