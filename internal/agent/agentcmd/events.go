package agentcmd

import (
	"errors"
	"log/slog"
)

// Event is the number of something that an administrator looks for in the log:
// the attribute event of a log line, and the event's ID in the event log of
// Windows. docs/hosts.md lists them.
type Event uint16

// The numbers of events. An event log source that has no message file of its own
// can use those up to 1000. A number that was given away keeps its meaning.
const (
	EventListens       Event = 100
	EventStops         Event = 101
	EventAwaitsManager Event = 102
	EventNotEnrolled   Event = 200
	EventState         Event = 201
	EventToken         Event = 202
	EventDriver        Event = 203
	EventJournal       Event = 204
	EventListen        Event = 205
	EventUsage         Event = 206
	EventServing       Event = 207
)

// EventKey is the attribute of log lines that holds the Event.
const EventKey = "event"

// Events returns all numbers.
func Events() []Event {
	return []Event{
		EventListens,
		EventStops,
		EventAwaitsManager,
		EventNotEnrolled,
		EventState,
		EventToken,
		EventDriver,
		EventJournal,
		EventListen,
		EventUsage,
		EventServing,
	}
}

// String says what the number means.
func (e Event) String() string {
	switch e {
	case EventListens:
		return "the agent listens"
	case EventStops:
		return "the agent stops, because it was told to"
	case EventAwaitsManager:
		return "the agent waits for the manager that knows its enrolment token"
	case EventNotEnrolled:
		return "the agent is not enrolled, and was given no token"
	case EventState:
		return "the state folder cannot be used"
	case EventToken:
		return "the enrolment token cannot be read"
	case EventDriver:
		return "the driver cannot be opened"
	case EventJournal:
		return "the journal cannot be opened"
	case EventListen:
		return "the address cannot be listened on"
	case EventUsage:
		return "the command line is wrong"
	case EventServing:
		return "the agent failed while it served"
	}
	return "an event without a meaning of its own"
}

func (e Event) attr() slog.Attr { return slog.Int(EventKey, int(e)) }

// failed is an error that ends the agent, with the number of the event that this
// is.
type failed struct {
	event Event
	error
}

func (f failed) Unwrap() error { return f.error }

// at gives an error its number.
func at(event Event, err error) error {
	if err == nil {
		return nil
	}
	return failed{event: event, error: err}
}

// eventOf returns the number of an error that ends the agent.
func eventOf(err error) Event {
	if f, ok := errors.AsType[failed](err); ok {
		return f.event
	}
	return EventServing
}
