package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// screen is what the person at the terminal sees. Every line begins with the
// time since the present chapter began.
type screen struct {
	// Who starts programs again speaks at any time.
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

func newScreen(out io.Writer) *screen { return &screen{out: out, began: time.Now()} }

func (s *screen) chapter(title string) {
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
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%6.1fs  %s\n", time.Since(s.began).Seconds(), line)
}

// text prints several lines, indented.
func (s *screen) text(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(text) {
		fmt.Fprintf(s.out, "         %s", line)
	}
}

func (s *screen) plain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

const (
	errorLinesPerLog = 8
	longestLogLine   = 600
)

// logErrors prints the last lines of each log that speak of an error.
func (s *screen) logErrors(dir string) {
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return
	}
	for _, log := range logs {
		lines := errorLines(log)
		if len(lines) == 0 {
			continue
		}
		s.plain("\nErrors at the end of %s:", log)
		for _, line := range lines {
			s.text(line[:min(len(line), longestLogLine)] + "\n")
		}
	}
}

func errorLines(file string) []string {
	log, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer func() { _ = log.Close() }()
	var found []string
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, "ERROR") || strings.Contains(line, `"level":"error"`) || strings.Contains(line, "panic:") || strings.HasPrefix(line, "E") {
			found = append(found, line)
		}
	}
	return found[max(0, len(found)-errorLinesPerLog):]
}
