package meddle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// Trouble is what is wrong with a line. The zero value is nothing.
type Trouble struct {
	// Deaf keeps back what clients send, Mute what the server answers, as a network
	// does that is gone one way. What was kept back goes on once that ends.
	Deaf, Mute bool
	// Late is how much later answers come.
	Late time.Duration
	// Elsewhere is a server that clients reach in place of the right one.
	Elsewhere string
}

// Line carries connections to a server.
type Line struct {
	listener net.Listener
	server   string
	ended    sync.WaitGroup
	end      context.CancelFunc

	mu      sync.Mutex
	trouble Trouble
	changed chan struct{}
	touched int
	cuts    map[*connection]struct{}
}

type connection struct{ cut func() }

// NewLine returns a line to a server, which listens on loopback.
func NewLine(ctx context.Context, server string) (*Line, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("laying a line to %s: %w", server, err)
	}
	ctx, end := context.WithCancel(ctx)
	l := &Line{listener: listener, server: server, end: end, changed: make(chan struct{}), cuts: map[*connection]struct{}{}}
	l.ended.Go(func() { l.accept(ctx) })
	return l, nil
}

// Address is where clients find it.
func (l *Line) Address() string { return l.listener.Addr().String() }

// Server is where it leads.
func (l *Line) Server() string { return l.server }

// Close ends the line and all connections over it.
func (l *Line) Close() error {
	err := l.listener.Close()
	l.end()
	l.ended.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Set makes trouble, in place of what there was. Where the line leads to another server
// than before, connections are cut.
func (l *Line) Set(t Trouble) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.Elsewhere != l.trouble.Elsewhere {
		l.cutAll()
	}
	l.trouble, l.touched = t, 0
	close(l.changed)
	l.changed = make(chan struct{})
}

// Cut ends all connections over the line. Others can be made at once.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cutAll()
}

func (l *Line) cutAll() {
	for c := range l.cuts {
		c.cut()
	}
}

// Touched is how often the trouble has met a connection, or what goes over one, since
// it was set.
func (l *Line) Touched() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.touched
}

func (l *Line) accept(ctx context.Context) {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.ended.Go(func() { l.carry(ctx, client) })
	}
}

// carry is the life of a connection.
func (l *Line) carry(ctx context.Context, client net.Conn) {
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	c := &connection{cut}
	l.mu.Lock()
	l.cuts[c] = struct{}{}
	to := l.server
	if l.trouble.Elsewhere != "" {
		to = l.trouble.Elsewhere
		l.touched++
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		delete(l.cuts, c)
		l.mu.Unlock()
	}()
	defer func() { _ = client.Close() }()
	server, err := (&net.Dialer{}).DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	context.AfterFunc(ctx, func() { _, _ = client.Close(), server.Close() })
	var both sync.WaitGroup
	both.Go(func() { defer cut(); l.pump(ctx, server, client, false) })
	both.Go(func() { defer cut(); l.pump(ctx, client, server, true) })
	both.Wait()
}

func (l *Line) pump(ctx context.Context, to io.Writer, from io.Reader, answers bool) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !l.pass(ctx, answers) {
				return
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// pass returns once what was read may go on, and tells whether it may.
func (l *Line) pass(ctx context.Context, answers bool) bool {
	met := false
	for {
		l.mu.Lock()
		t, changed := l.trouble, l.changed
		held := t.Deaf && !answers || t.Mute && answers
		late := answers && t.Late > 0 && !met
		if (held || late) && !met {
			l.touched++
			met = true
		}
		l.mu.Unlock()
		switch {
		case held:
			select {
			case <-changed:
			case <-ctx.Done():
				return false
			}
		case late:
			select {
			case <-time.After(t.Late):
			case <-ctx.Done():
				return false
			}
		default:
			return ctx.Err() == nil
		}
	}
}
