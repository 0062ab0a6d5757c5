package lbguest

import (
	"context"
	"net"
)

// arrive puts a guest that has power on the segment, by where it listens. All addresses
// are one machine's, whose kernel refuses connections in the name of those that have none:
// guests cannot find out by connecting who is there.
func (s *Segment) arrive(listen string) (depart func()) {
	address, _, _ := net.SplitHostPort(listen)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.present[address]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.present[address]--
	}
}

// hears implements engine.Hearing.
func (s *Segment) hears(_ context.Context, address string) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.present[address] > 0, nil
}
