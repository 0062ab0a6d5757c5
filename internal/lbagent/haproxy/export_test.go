package haproxy

import (
	"errors"
	"time"
)

// What tests of the readers of HAProxy's answers need.
var (
	ParseState     = parseState
	ParseStat      = parseStat
	ParseProcesses = parseProcesses
	StateFor       = stateFor
	SessionsOf     = sessionsOf
	IsUnanswered   = isUnanswered
	Joined         = joined
	Spacing        = spacing
)

// OldSessions returns what remembers the sessions of replaced workers.
func OldSessions(now func() time.Time) func(workers []int, ask func(int) (map[ID]ServerStat, error)) map[ID]int64 {
	return (&oldSessions{now: now}).of
}

// Workers returns what was read of processes.
func (p processes) Workers() (worker int, old []int, failed int) { return p.worker, p.old, p.failed }

// Pulse is what was seen of an HAProxy. The zero one stands for nothing.
type Pulse = pulse

// NewPulse returns one.
func NewPulse(pid int, used uint64, willing bool) Pulse { return pulse{pid, used, willing} }

// StandsAfter tells whether an HAProxy of which this was seen stands still.
func StandsAfter(enough int, looks []Pulse) (stands bool) {
	w := &watch{enough: enough}
	for _, p := range looks {
		w.look = func() (pulse, error) {
			if p == (pulse{}) {
				return p, errors.New("nothing is to be seen")
			}
			return p, nil
		}
		stands = w.stands()
	}
	return stands
}
