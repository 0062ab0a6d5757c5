package loadbalancer

import "time"

// since is when something began that may still go on.
type since struct{ began time.Time }

// goesOn notes whether it goes on, and returns since when: zero if it does not.
func (s *since) goesOn(does bool, now time.Time) time.Time {
	switch {
	case !does:
		s.began = time.Time{}
	case s.began.IsZero():
		s.began = now
	}
	return s.began
}
