package service

import (
	"context"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// sessions are those of all clusters, by their Clusters. It is safe for concurrent use.
type sessions struct {
	mu      sync.Mutex
	current map[client.ObjectKey]*session
	// closed tells that the manager is stopping.
	closed bool
}

// run ends all sessions when ctx ends, and returns when nothing of them is left.
func (s *sessions) run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.closed = true
	current := s.current
	s.current = nil
	s.mu.Unlock()
	for _, one := range current {
		one.stop()
	}
	for _, one := range current {
		<-one.ended
	}
	return nil
}

// of returns the session of a cluster, or nil.
func (s *sessions) of(cluster client.ObjectKey) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current[cluster]
}

// stop ends the session of a cluster, if there is one, and tells whether nothing of it
// runs any more.
func (s *sessions) stop(cluster client.ObjectKey) (ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.current[cluster]
	if one == nil {
		return true
	}
	one.stop()
	if ended = one.hasEnded(); ended {
		delete(s.current, cluster)
	}
	return ended
}

// start makes the session of a cluster that has none.
func (s *sessions) start(cluster client.ObjectKey, begin func() (*session, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.current[cluster] != nil {
		return nil
	}
	one, err := begin()
	if err != nil {
		return err
	}
	if s.current == nil {
		s.current = map[client.ObjectKey]*session{}
	}
	s.current[cluster] = one
	return nil
}
