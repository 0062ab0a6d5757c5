package wmifake

import (
	"maps"
	"slices"
	"sync"
)

// Call is a call that was made, with all the parameters and properties that were ever named in it.
type Call struct {
	Class, Method string
	In, Out       []string
}

// Recorder remembers the calls that are made in all worlds that have it.
type Recorder struct {
	mu    sync.Mutex
	calls map[string]*record
}

type record struct {
	class, method string
	in, out       map[string]bool
}

func (r *Recorder) add(class, method string, in, out []string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls == nil {
		r.calls = map[string]*record{}
	}
	key := class + " " + method
	if r.calls[key] == nil {
		r.calls[key] = &record{class, method, map[string]bool{}, map[string]bool{}}
	}
	for _, name := range in {
		r.calls[key].in[name] = true
	}
	for _, name := range out {
		r.calls[key].out[name] = true
	}
}

// Calls are the calls that were made, in order of class and method.
func (r *Recorder) Calls() []Call {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []Call
	for _, key := range slices.Sorted(maps.Keys(r.calls)) {
		c := r.calls[key]
		out = append(out, Call{c.class, c.method, slices.Sorted(maps.Keys(c.in)), slices.Sorted(maps.Keys(c.out))})
	}
	return out
}
