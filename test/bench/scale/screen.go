package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// screen is what the person at the terminal sees. Every line begins with the
// time since the present part began.
type screen struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

func newScreen(out io.Writer) *screen { return &screen{out: out, began: time.Now()} }

func (s *screen) part(title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
	fmt.Fprintf(s.out, "\n%s\n", title)
}

func (s *screen) elapsed() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.began)
}

func (s *screen) step(line string) {
	elapsed := s.elapsed()
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%6.1fs  %s\n", elapsed.Seconds(), line)
}

func (s *screen) plain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}
