package guest

import (
	"fmt"
	"maps"
	"strings"
	"sync"
)

// console tells the outside world about a guest.
type console struct {
	mu      sync.Mutex
	report  func(Report)
	current Report
	last    string
	closed  bool
}

// change alters the report and sends it with a line, if there is one. The same
// line is not written twice in a row: a guest that keeps failing in one way says
// so once.
func (c *console) change(alter func(*Report), format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	before := c.current
	alter(&c.current)
	next := c.current
	next.Addresses = maps.Clone(next.Addresses)
	line := fmt.Sprintf(format, args...)
	if line != "" && line != c.last {
		next.Console = []string{line}
		c.last = line
	}
	if len(next.Console) == 0 && next.Phase == before.Phase && next.Ready == before.Ready && maps.EqualFunc(next.Addresses, before.Addresses, equalStrings) {
		return
	}
	c.report(next)
}

// line writes a line.
func (c *console) line(format string, args ...any) { c.change(func(*Report) {}, format, args...) }

// close ends all reports: a machine that is off says nothing.
func (c *console) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
}

func equalStrings(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// forget lets a line be written again that was the last one, once what it said
// is over.
func (c *console) forget(prefix string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if strings.HasPrefix(c.last, prefix) {
		c.last = ""
	}
}
