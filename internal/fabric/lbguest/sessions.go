package lbguest

import (
	"net"
	"sync"
)

// sessions are the connections that a backend has.
type sessions struct {
	mu    sync.Mutex
	open  map[net.Conn]struct{}
	ended bool
}

func newSessions() *sessions { return &sessions{open: map[net.Conn]struct{}{}} }

// begin counts a connection to the backend, unless it is to have none any more.
func (s *sessions) begin(upstream net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended {
		s.open[upstream] = struct{}{}
	}
	return !s.ended
}

func (s *sessions) finish(upstream net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, upstream)
}

func (s *sessions) count() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int64(len(s.open))
}

// end breaks all connections. Whoever carries them finds out, and tells the
// clients.
func (s *sessions) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for upstream := range s.open {
		_ = upstream.Close()
	}
}
