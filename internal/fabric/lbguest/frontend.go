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
	// broken is called when the listener has failed. It must not block.
	broken func()

	mu       sync.Mutex
	listener net.Listener
	// held ends when the guest loses the VIP.
	held  context.Context
	lose  context.CancelFunc
	conns map[net.Conn]struct{}

	running sync.WaitGroup
}

func newFrontend(at endpoint, broken func()) *frontend {
	f := &frontend{at: at, broken: broken, conns: map[net.Conn]struct{}{}}
	f.held, f.lose = context.WithCancel(context.Background())
	return f
}

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
	f.listener = listener
	if f.held.Err() != nil {
		f.held, f.lose = context.WithCancel(context.Background())
	}
	held := f.held
	f.running.Go(func() { f.accept(held, listener) })
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
	f.lose()
	for conn := range f.conns {
		_ = conn.Close()
	}
	f.mu.Unlock()
}

func (f *frontend) accept(ctx context.Context, listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			f.stumble(listener)
			return
		}
		f.running.Go(func() { f.serve(ctx, conn) })
	}
}

// stumble gives a listener up that fails without having been closed: the process
// has run out of something. Whoever settles binds anew, and tries again if that
// fails too.
func (f *frontend) stumble(listener net.Listener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listener == listener {
		_ = listener.Close()
		f.listener = nil
		f.broken()
	}
}

// serve finds a backend for a connection and carries it.
func (f *frontend) serve(ctx context.Context, conn net.Conn) {
	if !f.track(conn) {
		return
	}
	defer f.forget(conn)
	r := f.routing.Load()
	if !r.allows(conn.RemoteAddr()) {
		return
	}
	upstream, s := r.dial(ctx, f.next.Add(1))
	if upstream == nil || !f.track(upstream) {
		return
	}
	defer f.forget(upstream)
	if !s.sessions.begin(upstream) {
		return
	}
	defer s.sessions.finish(upstream)
	carry(conn, upstream)
}

// dial connects to a backend. One that does not accept is not the client's
// concern: the next is tried. It returns nil if none accepts.
func (r *routing) dial(ctx context.Context, turn uint64) (net.Conn, *server) {
	dialer := net.Dialer{Timeout: connectTimeout}
	for _, s := range r.order(turn) {
		if upstream, err := dialer.DialContext(ctx, "tcp", s.address); err == nil {
			return upstream, s
		}
	}
	return nil, nil
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
		case lbapi.HealthDown:
		}
	}
	return append(up, unknown...)
}

// track remembers a connection, so that it ends with the VIP. One that comes too
// late is ended here.
func (f *frontend) track(conn net.Conn) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.held.Err() != nil {
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
