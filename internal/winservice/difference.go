package winservice

import (
	"fmt"
	"slices"
	"strings"
)

// Difference is what an installed service has otherwise.
type Difference struct {
	What, Has, Wants string
}

// String tells it in half a line.
func (d Difference) String() string { return fmt.Sprintf("%s: %s -> %s", d.What, d.Has, d.Wants) }

// Differences returns what would have to change for one configuration to become
// another, in a fixed order.
func Differences(has, wants Config) []Difference {
	var found []Difference
	add := func(what string, same bool, has, wants any) {
		if !same {
			found = append(found, Difference{What: what, Has: fmt.Sprint(has), Wants: fmt.Sprint(wants)})
		}
	}
	add("display name", has.DisplayName == wants.DisplayName, has.DisplayName, wants.DisplayName)
	add("description", has.Description == wants.Description, has.Description, wants.Description)
	add("command line", has.CommandLine == wants.CommandLine, has.CommandLine, wants.CommandLine)
	// Names of accounts have no case.
	add("account", strings.EqualFold(has.Account, wants.Account), has.Account, wants.Account)
	add("start", has.AutoStart == wants.AutoStart && has.DelayedStart == wants.DelayedStart, has.start(), wants.start())
	add("service SID", has.ServiceSID == wants.ServiceSID, has.ServiceSID, wants.ServiceSID)
	add("restarts", slices.Equal(has.Restarts, wants.Restarts), has.Restarts, wants.Restarts)
	add("restart on errors", has.RestartOnError == wants.RestartOnError, has.RestartOnError, wants.RestartOnError)
	add("failures forgotten after", has.ForgetFailures == wants.ForgetFailures, has.ForgetFailures, wants.ForgetFailures)
	add("time to stop at shutdown", has.DrainTime == wants.DrainTime, has.DrainTime, wants.DrainTime)
	return found
}

func (c Config) start() string {
	switch {
	case c.AutoStart && c.DelayedStart:
		return "automatic, delayed"
	case c.AutoStart:
		return "automatic"
	default:
		return "by hand"
	}
}
