package winservice

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

// Events is an open event log.
type Events interface {
	Info(id uint32, text string) error
	Warning(id uint32, text string) error
	Error(id uint32, text string) error
}

// The IDs of events that have no number of their own. An event source without a
// message file of its own can use those from 1 to 1000.
const (
	PlainInfo    = 1
	PlainWarning = 2
	PlainError   = 3

	maxEventID = 1000
	// maxEventText is below what one text of an event may have, 31,839 characters.
	maxEventText = 30000
)

// EventHandler writes log lines as events: the message first, what belongs to it
// below. The attribute of eventKey becomes the event's ID.
type EventHandler struct {
	events   Events
	least    slog.Leveler
	eventKey string
	// text makes lines of attributes into buffer, both under mu.
	text   slog.Handler
	buffer *bytes.Buffer
	mu     *sync.Mutex
}

var _ slog.Handler = (*EventHandler)(nil)

// NewEventHandler returns a handler for events of at least a level.
func NewEventHandler(events Events, least slog.Leveler, eventKey string) *EventHandler {
	h := &EventHandler{events: events, least: least, eventKey: eventKey, buffer: &bytes.Buffer{}, mu: &sync.Mutex{}}
	h.text = slog.NewTextHandler(h.buffer, &slog.HandlerOptions{Level: least, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		// The event itself has these.
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.MessageKey || a.Key == eventKey) {
			return slog.Attr{}
		}
		return a
	}})
	return h
}

// Enabled implements slog.Handler.
func (h *EventHandler) Enabled(_ context.Context, level slog.Level) bool {
	return level >= h.least.Level()
}

// WithAttrs implements slog.Handler.
func (h *EventHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.text = h.text.WithAttrs(attrs)
	return &with
}

// WithGroup implements slog.Handler.
func (h *EventHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.text = h.text.WithGroup(name)
	return &with
}

// Handle implements slog.Handler.
func (h *EventHandler) Handle(ctx context.Context, record slog.Record) error {
	details, err := h.details(ctx, record)
	if err != nil {
		return err
	}
	text := record.Message
	if details != "" {
		text += "\r\n\r\n" + details
	}
	// A text of Windows ends at a zero.
	text = strings.ReplaceAll(text, "\x00", `\x00`)
	if len(text) > maxEventText {
		text = strings.ToValidUTF8(text[:maxEventText], "") + " (cut off)"
	}
	switch id := h.id(record); {
	case record.Level >= slog.LevelError:
		return h.events.Error(idOr(id, PlainError), text)
	case record.Level >= slog.LevelWarn:
		return h.events.Warning(idOr(id, PlainWarning), text)
	default:
		return h.events.Info(idOr(id, PlainInfo), text)
	}
}

func (h *EventHandler) details(ctx context.Context, record slog.Record) (string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buffer.Reset()
	err := h.text.Handle(ctx, record)
	return strings.TrimSpace(h.buffer.String()), err
}

func (h *EventHandler) id(record slog.Record) uint32 {
	var id uint32
	record.Attrs(func(a slog.Attr) bool {
		if a.Key != h.eventKey || a.Value.Kind() != slog.KindInt64 {
			return true
		}
		if n := a.Value.Int64(); n > 0 && n <= maxEventID {
			id = uint32(n)
		}
		return false
	})
	return id
}

func idOr(id, otherwise uint32) uint32 {
	if id == 0 {
		return otherwise
	}
	return id
}
