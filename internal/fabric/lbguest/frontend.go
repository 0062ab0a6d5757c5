package lbguest

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// connectTimeout is how long one backend may take to accept a connection before
// the next one is tried.
const connectTimeout = 2 * time.Second

// endpoint is where a frontend is reached.
type endpoint struct {
	vip  string
	port int32
}

func (e endpoint) String() string { return net.JoinHostPort(e.vip, strconv.Itoa(int(e.port))) }

// routing is what a frontend does with a new connection. It is replaced whole.
type routing struct {
	sources  []netip.Prefix
	backends []*server
}

// frontend answers on one endpoint while its VIP is held. A change of plan changes
// its routing and leaves its listener alone.
type frontend struct {
	at      endpoint
	routing atomic.Pointer[routing]
	next    atomic.Uint64

	mu       sync.Mutex
	listener net.Listener
	// held is false while the guest has not got the VIP.
	held  bool
	conns map[net.Conn]struct{}

	running sync.WaitGroup
}

func newFrontend(at endpoint) *frontend { return &frontend{at: at, conns: map[net.Conn]struct{}{}} }

func newRouting(f lbapi.Frontend, servers map[backendID]*server) *routing {
	r := &routing{}
	for _, s := range f.AllowedSources {
		r.sources = append(r.sources, netip.MustParsePrefix(s))
	}
	for _, b := range f.Backends {
		if !b.Drain {
			r.backends = append(r.backends, servers[idOf(f, b)])
		}
	}
	return r
}

func idOf(f lbapi.Frontend, b lbapi.Backend) backendID {
	return backendID{frontend: f.Name, name: b.Name, address: b.Address, port: b.Port}
}

// open binds the endpoint, if it is not bound.
func (f *frontend) open(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener != nil {
		return nil
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", f.at.String())
	if err != nil {
		return err
	}
	f.listener, f.held = listener, true
	f.running.Go(func() { f.accept(listener) })
	return nil
}

// close answers no more. Connections go on.
func (f *frontend) close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener != nil {
		_ = f.listener.Close()
		f.listener = nil
	}
}

// sever answers no more and ends all connections, as when the address has gone.
func (f *frontend) sever() {
	f.close()
	f.mu.Lock()
	f.held = false
	for conn := range f.conns {
		_ = conn.Close()
	}
	f.mu.Unlock()
}

func (f *frontend) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err == nil {
			f.running.Go(func() { f.serve(conn) })
			continue
		}
		f.mu.Lock()
		open := f.listener == listener
		f.mu.Unlock()
		if !open {
			return
		}
		// The process has run out of something; whoever holds it gives it back.
		time.Sleep(5 * time.Millisecond)
	}
}

// serve finds a backend for a connection and carries it. One that does not accept
// is not the client's concern: the next is tried.
func (f *frontend) serve(conn net.Conn) {
	if !f.track(conn) {
		return
	}
	defer f.forget(conn)
	r := f.routing.Load()
	if !r.allows(conn.RemoteAddr()) {
		return
	}
	for _, s := range r.order(f.next.Add(1)) {
		upstream, err := net.DialTimeout("tcp", s.address, connectTimeout)
		if err != nil {
			continue
		}
		if !f.track(upstream) {
			return
		}
		defer f.forget(upstream)
		s.sessions.Add(1)
		defer s.sessions.Add(-1)
		carry(conn, upstream)
		return
	}
}

func (r *routing) allows(remote net.Addr) bool {
	if len(r.sources) == 0 {
		return true
	}
	from, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return false
	}
	for _, s := range r.sources {
		if s.Contains(from.Addr().Unmap()) {
			return true
		}
	}
	return false
}

// order returns the backends to try: the healthy ones in turn, then those that
// have not answered a check yet.
func (r *routing) order(turn uint64) []*server {
	var up, unknown []*server
	for i := range r.backends {
		s := r.backends[(turn+uint64(i))%uint64(len(r.backends))]
		switch health, _, _ := s.state(); health {
		case lbapi.HealthUp:
			up = append(up, s)
		case lbapi.HealthUnknown:
			unknown = append(unknown, s)
		}
	}
	return append(up, unknown...)
}

// track remembers a connection, so that it ends with the VIP. One that comes too
// late is ended here.
func (f *frontend) track(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.held {
		_ = conn.Close()
		return false
	}
	f.conns[conn] = struct{}{}
	return true
}

func (f *frontend) forget(conn net.Conn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.conns, conn)
	_ = conn.Close()
}

func (f *frontend) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.conns) == 0
}
