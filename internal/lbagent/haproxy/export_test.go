package haproxy

// What tests of the readers of HAProxy's answers need.
var (
	ParseState     = parseState
	ParseStat      = parseStat
	ParseProcesses = parseProcesses
	StateFor       = stateFor
	SessionsOf     = sessionsOf
	Joined         = joined
)

// Workers returns what was read of processes.
func (p processes) Workers() (worker int, old []int, failed int) { return p.worker, p.old, p.failed }
