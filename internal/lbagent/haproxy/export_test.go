package haproxy

import "time"

// What tests of the readers of HAProxy's answers need.
var (
	ParseState     = parseState
	ParseStat      = parseStat
	ParseProcesses = parseProcesses
	StateFor       = stateFor
	SessionsOf     = sessionsOf
	Joined         = joined
	Spacing        = spacing
)

// OldSessions returns what remembers the sessions of replaced workers.
func OldSessions(now func() time.Time) func(workers []int, ask func(int) (map[ID]ServerStat, error)) map[ID]int64 {
	return (&oldSessions{now: now}).of
}

// Workers returns what was read of processes.
func (p processes) Workers() (worker int, old []int, failed int) { return p.worker, p.old, p.failed }
