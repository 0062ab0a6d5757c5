package guest

import (
	"context"
	"net"
	"net/netip"
	"sync"
)

// listener remembers its connections, so that all of them break when the power
// goes, those too that a server has handed on, such as port-forwards.
type listener struct {
	net.Listener
	mu    sync.Mutex
	conns map[net.Conn]struct{}
	off   bool
}

// listen binds an address, which another machine may have taken.
func (g *Guest) listen(ctx context.Context, what string, at netip.AddrPort) (*listener, error) {
	l := &listener{conns: map[net.Conn]struct{}{}}
	return l, g.retry(ctx, what, func(context.Context) (err error) {
		l.Listener, err = g.runtime.Listen(at.String())
		return err
	})
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.off {
		_ = conn.Close()
		return nil, net.ErrClosed
	}
	l.conns[conn] = struct{}{}
	return &connection{conn, l}, nil
}

type connection struct {
	net.Conn
	listener *listener
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.listener.mu.Lock()
	delete(c.listener.conns, c.Conn)
	c.listener.mu.Unlock()
	return c.Conn.Close()
}

// cut breaks all connections.
func (l *listener) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.off = true
	for conn := range l.conns {
		_ = conn.Close()
	}
}

// serving runs a server on the listener and returns what stops it, breaks its
// connections and waits for its end.
func (l *listener) serving(serve func() error, stop func()) func() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// It ends when it is stopped; there is nobody to tell of another reason.
		_ = serve()
	}()
	return func() {
		l.cut()
		stop()
		// A server that was stopped before it began has not closed it.
		_ = l.Close()
		<-done
	}
}
