package guest

import (
	"context"
	"errors"
	"sync"
)

// ErrNoCable tells that a guest has no NIC of its own.
var ErrNoCable = errors.New("guests that share the addresses of this machine have no cables")

// NoCable is a Cable of guests whose addresses are this machine's. They bind them, and
// that is all; Stop ends what does.
type NoCable struct{ Stop func() }

// Link implements Cable.
func (NoCable) Link(bool) error { return ErrNoCable }

// Unplug implements Cable.
func (c NoCable) Unplug() {
	if c.Stop != nil {
		c.Stop()
	}
}

// Cable is what a guest's NICs are at a network by.
type Cable interface {
	// Link takes it out, or puts it in again.
	Link(up bool) error
	// Unplug takes it out for good.
	Unplug()
}

// socket is where a guest's cable is. The cable may be taken out before there is one.
type socket struct {
	mu    sync.Mutex
	cable Cable
	out   bool
}

// Link takes the cable of the guest's NICs out, or puts it in again.
func (g *Guest) Link(up bool) error {
	g.socket.mu.Lock()
	defer g.socket.mu.Unlock()
	g.socket.out = !up
	if g.socket.cable == nil {
		return nil
	}
	return g.socket.cable.Link(up)
}

// attach gets the guest a cable as soon as there is one, and leaves it as it is meant to
// be: out, it may be.
func (g *Guest) attach(ctx context.Context, what string, get func(ctx context.Context) (Cable, error)) (unplug func(), err error) {
	var c Cable
	if err := g.retry(ctx, what, func(ctx context.Context) (err error) {
		c, err = get(ctx)
		return err
	}); err != nil {
		return nil, err
	}
	g.socket.mu.Lock()
	defer g.socket.mu.Unlock()
	g.socket.cable = c
	if g.socket.out {
		if err := c.Link(false); err != nil {
			g.console.line("%s: %s", what, err)
		}
	}
	return func() {
		g.socket.mu.Lock()
		defer g.socket.mu.Unlock()
		g.socket.cable = nil
		c.Unplug()
	}, nil
}
