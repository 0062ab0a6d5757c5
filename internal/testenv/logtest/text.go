package logtest

import (
	"bytes"
	"sync"
)

// Text is an output that can be read while it is written. The zero Text is empty.
type Text struct {
	mu  sync.Mutex
	all bytes.Buffer
}

// Write implements io.Writer.
func (t *Text) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.Write(p)
}

// String returns all that has been written.
func (t *Text) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all.String()
}
