package terminal

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

// Screen is what the person at the terminal sees. Every line begins with the
// time since the present part began.
type Screen struct {
	// Who starts programs again speaks at any time.
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

// NewScreen returns a screen whose first part begins now.
func NewScreen(out io.Writer) *Screen { return &Screen{out: out, began: time.Now()} }

// Begin begins a part.
func (s *Screen) Begin(title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = time.Now()
	fmt.Fprintf(s.out, "\n%s\n", title)
}

// Elapsed is the time since the present part began.
func (s *Screen) Elapsed() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.began)
}

// Step prints what happened, and when.
func (s *Screen) Step(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "%6.1fs  %s\n", time.Since(s.began).Seconds(), line)
}

// Text prints several lines, indented.
func (s *Screen) Text(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for line := range strings.Lines(text) {
		fmt.Fprintf(s.out, "         %s", line)
	}
}

// Plain prints a line as it is.
func (s *Screen) Plain(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

const (
	errorLinesPerLog = 8
	longestLogLine   = 600
)

// LogErrors prints the last lines of each log in a folder that speak of an error.
func (s *Screen) LogErrors(dir string) {
	logs, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil {
		return
	}
	for _, log := range logs {
		lines := errorLines(log)
		if len(lines) == 0 {
			continue
		}
		s.Plain("\nErrors at the end of %s:", log)
		for _, line := range lines {
			s.Text(line[:min(len(line), longestLogLine)] + "\n")
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
