package agenttest

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// FailNext makes the next call of a method fail before it does anything.
func (d *Driver) FailNext(op string, err error) { d.next(op, func() error { return err }) }

// PanicNext makes the next call of a method panic.
func (d *Driver) PanicNext(op string) { d.next(op, func() error { panic("told to panic") }) }

func (d *Driver) next(op string, fault func() error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.faults[op] = append(d.faults[op], fault)
}

// Gate is where the calls of one method hang before they do anything.
type Gate struct {
	entered chan struct{}
	open    chan struct{}
}

// Block makes every call of a method hang until the gate is opened or the
// call's context ends.
func (d *Driver) Block(op string) *Gate {
	g := &Gate{entered: make(chan struct{}, 1024), open: make(chan struct{})}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gates[op] = g
	return g
}

// AwaitCall waits for a call to hang.
func (g *Gate) AwaitCall() { <-g.entered }

// Open lets all calls pass, those to come as well.
func (g *Gate) Open() { close(g.open) }

// pass is where a call meets the faults that are in store for its method.
func (d *Driver) pass(ctx context.Context, op string) error {
	d.mu.Lock()
	gate := d.gates[op]
	var fault func() error
	if waiting := d.faults[op]; len(waiting) > 0 {
		fault, d.faults[op] = waiting[0], waiting[1:]
	}
	d.mu.Unlock()
	if gate != nil {
		gate.entered <- struct{}{}
		select {
		case <-gate.open:
		case <-ctx.Done():
			return hostapi.Errorf(hostapi.Transient, op, "", "cut off: %w", ctx.Err())
		}
	}
	if fault != nil {
		return fault()
	}
	return nil
}
