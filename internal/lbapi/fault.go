package lbapi

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with a plan.
type Fault struct {
	// Field is the path of what is wrong, such as "frontends[2].backends[0].port".
	Field string `json:"field"`
	// Message says what is wrong and what would be right. What came from outside is
	// quoted in it, so that it fits on a line.
	Message string `json:"message"`
}

// String returns the fault on one line.
func (f Fault) String() string { return f.Field + ": " + f.Message }

// Faults are all faults of a plan, in the order of its fields.
type Faults []Fault

// String returns the faults on one line.
func (f Faults) String() string {
	lines := make([]string, len(f))
	for i := range f {
		lines[i] = f[i].String()
	}
	return strings.Join(lines, "; ")
}

// maxFaults bounds what a hopeless plan can make us say.
const maxFaults = 200

type faultList struct{ faults Faults }

func (l *faultList) add(field, format string, args ...any) {
	if len(l.faults) < maxFaults {
		l.faults = append(l.faults, Fault{Field: field, Message: fmt.Sprintf(format, args...)})
	}
}

// quote shows a value from outside on one line and not at length.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return fmt.Sprintf("%q...", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
