package service

import "sync"

// bell tells all who wait that something has changed. It is safe for concurrent use;
// its zero value is ready.
type bell struct {
	mu   sync.Mutex
	next chan struct{}
}

// heard returns a channel that is closed when the bell rings next. Whoever waits takes
// it before looking at what may have changed.
func (b *bell) heard() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}
