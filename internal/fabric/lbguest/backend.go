package lbguest

import (
	"context"
	"sync"
	"time"

	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// backendID tells servers apart across plans: whoever is the same goes on with
// his health and sessions.
type backendID struct {
	frontend, name, address string
	port                    int32
}

// server is a backend that is checked.
type server struct {
	id       backendID
	check    lbapi.Check
	address  string
	sessions *sessions
	stop     context.CancelFunc
	stopped  chan struct{}

	mu      sync.Mutex
	health  lbapi.Health
	since   time.Time
	message string
}

// newServer begins to check a backend. What is known of it from before counts
// until the first answer.
func newServer(c clock.Clock, id backendID, address string, check lbapi.Check, before *server, changed func()) (*server, error) {
	p, err := newProbe(check, address, c.Now)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &server{id: id, check: check, address: address, stop: stop, stopped: make(chan struct{}), sessions: newSessions(), health: lbapi.HealthUnknown, since: c.Now()}
	if before != nil {
		s.sessions = before.sessions
		s.health, s.since, s.message = before.state()
	}
	go s.watch(ctx, c, p, changed)
	return s, nil
}

func (s *server) state() (lbapi.Health, time.Time, string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health, s.since, s.message
}

// close ends the checks; connections go on.
func (s *server) close() {
	s.stop()
	<-s.stopped
}

// watch checks until ctx ends. The first answer counts at once, because until
// then there is nothing to be careful about.
func (s *server) watch(ctx context.Context, c clock.Clock, p *probe, changed func()) {
	defer close(s.stopped)
	defer p.close()
	var inRow int32
	for {
		err := p.ask(ctx)
		if ctx.Err() != nil {
			return
		}
		now, needed := lbapi.HealthUp, s.check.Rise
		if err != nil {
			now, needed = lbapi.HealthDown, s.check.Fall
		}
		health, _, message := s.state()
		if health == now {
			inRow = 0
		} else {
			inRow++
		}
		turned := inRow > 0 && (inRow >= needed || health == lbapi.HealthUnknown)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if turned || text != message {
			s.mu.Lock()
			s.message = text
			if turned {
				s.health, s.since, inRow = now, c.Now(), 0
			}
			s.mu.Unlock()
			changed()
		}
		timer := c.NewTimer(s.check.Interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C():
		}
	}
}
