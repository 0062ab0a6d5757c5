package main

import (
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

const (
	// seldomest is how rarely, on average, the hosts may be looked at, and rarestReading
	// likewise the management cluster. Both are far from what is meant: who looks as
	// rarely as this would miss nearly all that lasts for a moment.
	seldomest     = 2 * time.Second
	rarestReading = 20 * time.Second
)

// sight is how much an auditor has seen.
type sight struct {
	// looks at the hosts, for how long, and the longest time between two.
	looks           int
	lasted, longest time.Duration
	// readings of what the management cluster says.
	readings int
	// deeds of hosts that were judged, those among them that took a vote from a cluster
	// of etcd, and those that were not told any more when they were asked for.
	deeds, votes, missed int
	// heard is how often somebody who waited said why.
	heard int
}

// judge counts a deed that follows another, by its number.
func (s *sight) judge(after int, deed fabricapi.Deed) {
	s.deeds++
	s.missed += deed.Number - after - 1
	if deed.Electorate != nil {
		s.votes++
	}
}

// lacks tells what was not seen that there must have been, or too seldom: somebody who
// hardly looked has found nothing, too.
func (s *sight) lacks() []finding {
	var found []finding
	lack := func(is bool, format string, args ...any) {
		if is {
			found = append(found, finding{blind, fmt.Sprintf(format, args...)})
		}
	}
	lack(s.looks < int(s.lasted/seldomest), "the auditor looked at the hosts only %d times in %.0f s", s.looks, s.lasted.Seconds())
	lack(s.readings < int(s.lasted/rarestReading), "the auditor read what the management cluster says only %d times in %.0f s", s.readings, s.lasted.Seconds())
	lack(s.deeds == 0, "the auditor judged nothing that hosts were told to take away, though everything was deleted")
	lack(s.missed > 0, "%d things that hosts were told to take away were forgotten before the auditor judged them", s.missed)
	lack(s.heard == 0, "the auditor heard nobody who waited, though everything has to at first")
	return found
}

func (s *sight) String() string {
	return fmt.Sprintf("the auditor looked at the hosts %d times in %.0f s, with %.1f s at most between two looks; it judged %d things that hosts were told to "+
		"take away, of which %d took a vote from etcd; %d times somebody who waited said why", s.looks, s.lasted.Seconds(), s.longest.Seconds(), s.deeds, s.votes, s.heard)
}
