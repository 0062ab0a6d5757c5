package addon

import (
	"container/list"
	"sync"

	"github.com/capstan-k8s/capstan/internal/addons"
)

// keptBytes are the bytes of manifests of which is kept what was read, for all
// clusters. What is read of one takes several times as much.
const keptBytes = 16 << 20

// parsed keeps addons as they were read from ConfigMaps, those used last. They are
// shared: nobody changes them. It is safe for concurrent use.
type parsed struct {
	mu sync.Mutex
	// byUse are *readAddons, the one used last in front.
	byUse list.List
	byKey map[string]*list.Element
	bytes int
}

// readAddon is an addon, what it was read from, and how large that is.
type readAddon struct {
	key   string
	bytes int
	addon *addons.Addon
}

// get returns what was read, nil if it is not kept.
func (p *parsed) get(key string) *readAddon {
	p.mu.Lock()
	defer p.mu.Unlock()
	element := p.byKey[key]
	if element == nil {
		return nil
	}
	p.byUse.MoveToFront(element)
	read, _ := element.Value.(*readAddon)
	return read
}

// put keeps what was read, instead of what was not used for longest.
func (p *parsed) put(read *readAddon) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byKey == nil {
		p.byKey = map[string]*list.Element{}
	}
	if element := p.byKey[read.key]; element != nil {
		p.drop(element)
	}
	p.byKey[read.key] = p.byUse.PushFront(read)
	p.bytes += read.bytes
	for p.bytes > keptBytes && p.byUse.Len() > 0 {
		p.drop(p.byUse.Back())
	}
}

// drop is called with the lock.
func (p *parsed) drop(element *list.Element) {
	if read, is := p.byUse.Remove(element).(*readAddon); is {
		delete(p.byKey, read.key)
		p.bytes -= read.bytes
	}
}
