package hostclient

import (
	"container/list"
	"sync"

	"github.com/capstan-k8s/capstan/internal/pki"
)

// Pool keeps one client per host. It is bounded: beyond the limit the client
// that was not asked for longest is closed. It is safe for concurrent use.
type Pool struct {
	manager   *pki.ManagerIdentity
	limit     int
	observers observers

	mu      sync.Mutex
	clients map[string]*list.Element
	// recent has the entry that was asked for last in front.
	recent *list.List
}

type entry struct {
	host   string
	client *Client
}

// NewPool returns a pool of at most limit clients, whose calls are told to the
// observers.
func NewPool(manager *pki.ManagerIdentity, limit int, observers ...Observer) *Pool {
	return &Pool{manager: manager, limit: limit, observers: observers, clients: map[string]*list.Element{}, recent: list.New()}
}

// Get returns the client of a host. If the host's target is another than last
// time, so is the client; calls under way on the old one are finished.
func (p *Pool) Get(host string, target Target) (*Client, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e, ok := p.clients[host]; ok {
		if client := e.Value.(entry).client; client.Target() == target { //nolint:forcetypeassert // nothing else is put in
			p.recent.MoveToFront(e)
			return client, nil
		}
		p.drop(e)
	}
	client, err := dial(host, target, p.manager, p.observers)
	if err != nil {
		return nil, err
	}
	p.clients[host] = p.recent.PushFront(entry{host: host, client: client})
	for p.recent.Len() > p.limit {
		p.drop(p.recent.Back())
	}
	return client, nil
}

// Forget closes the client of a host that is gone.
func (p *Pool) Forget(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	gone := func() { p.observers.hostGone(host) }
	if e, ok := p.clients[host]; ok {
		p.remove(e).retire(gone)
		return
	}
	gone()
}

// Close closes all clients.
func (p *Pool) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.recent.Len() > 0 {
		p.drop(p.recent.Back())
	}
}

func (p *Pool) drop(e *list.Element) { p.remove(e).Close() }

func (p *Pool) remove(e *list.Element) *Client {
	removed := p.recent.Remove(e).(entry) //nolint:forcetypeassert // nothing else is put in
	delete(p.clients, removed.host)
	return removed.client
}
