package service

import "sync"

// turns let one at a time work on a Service. Its zero value is ready.
type turns struct {
	mu    sync.Mutex
	taken map[string]*turn
}

type turn struct {
	sync.Mutex
	// wanted is how many have it or wait for it.
	wanted int
}

// take waits for the turn of a name, and returns how to give it up.
func (t *turns) take(name string) (giveUp func()) {
	t.mu.Lock()
	one := t.taken[name]
	if one == nil {
		one = &turn{}
		if t.taken == nil {
			t.taken = map[string]*turn{}
		}
		t.taken[name] = one
	}
	one.wanted++
	t.mu.Unlock()
	one.Lock()
	return func() {
		one.Unlock()
		t.mu.Lock()
		defer t.mu.Unlock()
		if one.wanted--; one.wanted == 0 {
			delete(t.taken, name)
		}
	}
}
