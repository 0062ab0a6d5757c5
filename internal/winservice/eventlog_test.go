package winservice_test

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/winservice"
)

// eventLog keeps events.
type eventLog struct {
	mu     sync.Mutex
	events []event
}

type event struct {
	kind string
	id   uint32
	text string
}

func (l *eventLog) add(kind string, id uint32, text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, event{kind, id, text})
	return nil
}

func (l *eventLog) Info(id uint32, text string) error    { return l.add("info", id, text) }
func (l *eventLog) Warning(id uint32, text string) error { return l.add("warning", id, text) }
func (l *eventLog) Error(id uint32, text string) error   { return l.add("error", id, text) }

func TestLogLinesBecomeEvents(t *testing.T) {
	g := NewWithT(t)
	var log eventLog
	logger := slog.New(winservice.NewEventHandler(&log, slog.LevelInfo, "event")).With("host", "hv1")
	logger.Debug("too fine")
	logger.Info("agent listens", "event", 100, "address", "[::]:7443")
	logger.Warn("host does not tell how it is", "error", "access denied")
	logger.Error("agent ends", "event", 203, "error", "open driver")
	logger.WithGroup("vm").Info("made", "event", "none", "name", "shop")
	g.Expect(log.events).To(Equal([]event{
		{"info", 100, "agent listens\r\n\r\nhost=hv1 address=[::]:7443"},
		{"warning", winservice.PlainWarning, "host does not tell how it is\r\n\r\nhost=hv1 error=\"access denied\""},
		{"error", 203, "agent ends\r\n\r\nhost=hv1 error=\"open driver\""},
		{"info", winservice.PlainInfo, "made\r\n\r\nhost=hv1 vm.event=none vm.name=shop"},
	}))
}

func TestEventsFitIntoTheEventLog(t *testing.T) {
	g := NewWithT(t)
	var log eventLog
	logger := slog.New(winservice.NewEventHandler(&log, slog.LevelInfo, "event"))
	logger.Info("zero \x00 inside", "event", 1001)
	logger.Info("long", "stack", strings.Repeat("ä", 40000), "event", -1)
	g.Expect(log.events[0]).To(Equal(event{"info", winservice.PlainInfo, `zero \x00 inside`}))
	g.Expect(log.events[1].id).To(Equal(uint32(winservice.PlainInfo)))
	g.Expect(utf8.RuneCountInString(log.events[1].text)).To(BeNumerically("<", 31839))
	g.Expect(utf8.ValidString(log.events[1].text)).To(BeTrue())
	g.Expect(log.events[1].text).To(HaveSuffix("(cut off)"))
}

func TestEventsOfManyAtOnceAreNotMixed(t *testing.T) {
	g := NewWithT(t)
	var log eventLog
	logger := slog.New(winservice.NewEventHandler(&log, slog.LevelInfo, "event"))
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() { logger.With("vm", i).Info(fmt.Sprint("vm ", i), "again", i) })
	}
	all.Wait()
	for _, e := range log.events {
		var vm, attribute, again int
		_, err := fmt.Sscanf(e.text, "vm %d\r\n\r\nvm=%d again=%d", &vm, &attribute, &again)
		g.Expect(err).NotTo(HaveOccurred(), e.text)
		g.Expect([]int{attribute, again}).To(Equal([]int{vm, vm}))
	}
	g.Expect(log.events).To(HaveLen(50))
}
