package service

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbplan"
)

// maxServices is how many Services the schema of LoadBalancers has room for.
const maxServices = 1000

// book holds the Services of one cluster as its LoadBalancer shall have them. It begins
// with what the LoadBalancer has, so that a manager that starts takes nothing away that
// it has not looked at yet. It is safe for concurrent use.
type book struct {
	mu      sync.Mutex
	entries map[string]*entry
	// version counts what was entered.
	version uint64
}

type entry struct {
	capstanv1.LoadBalancerService
	// version is the change that made it what it is; since is the generation of the
	// LoadBalancer that has it, 0 while none has.
	version uint64
	since   int64
}

func newBook(lb *capstanv1.LoadBalancer) *book {
	b := &book{entries: map[string]*entry{}}
	for _, service := range lb.Spec.Services {
		b.entries[service.Name] = &entry{LoadBalancerService: service, since: lb.Generation}
	}
	return b
}

// crowdedError says that a Service cannot be carried beside the others. That may
// change without its own change.
type crowdedError struct{ why string }

// Error implements error.
func (e *crowdedError) Error() string { return e.why }

// put enters a Service, unless it gets in the way of another one, and tells whether
// that has still to be written.
func (b *book) put(service capstanv1.LoadBalancerService) (unwritten bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	known := b.entries[service.Name]
	if known != nil && equality.Semantic.DeepEqual(known.LoadBalancerService, service) {
		return known.since == 0, nil
	}
	if err := b.fits(service); err != nil {
		return false, err
	}
	b.version++
	b.entries[service.Name] = &entry{LoadBalancerService: service, version: b.version}
	return true, nil
}

func (b *book) fits(service capstanv1.LoadBalancerService) error {
	ports, vips := len(service.Ports), map[string]bool{service.VIP: true}
	for name, other := range b.entries {
		if name == service.Name {
			continue
		}
		ports += len(other.Ports)
		vips[other.VIP] = true
		if other.VIP != service.VIP {
			continue
		}
		for _, mine := range service.Ports {
			for _, theirs := range other.Ports {
				if mine.Port == theirs.Port {
					return &crowdedError{fmt.Sprintf("port %d of %s is Service %s's: take another port, or an address of its own", mine.Port, service.VIP, name)}
				}
			}
		}
	}
	switch {
	case b.entries[service.Name] == nil && len(b.entries) >= maxServices:
		return &crowdedError{fmt.Sprintf("the load balancer carries %d Services already", len(b.entries))}
	case ports > lbplan.MaxServicePorts:
		return &crowdedError{fmt.Sprintf("the load balancer carries %d ports at most for all Services together", lbplan.MaxServicePorts)}
	case len(vips) > lbplan.MaxServiceVIPs:
		return &crowdedError{fmt.Sprintf("the load balancer carries %d virtual addresses at most: let Services share one", lbplan.MaxServiceVIPs)}
	}
	return nil
}

// remove strikes a Service out.
func (b *book) remove(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, name)
}

// get returns a Service, and the generation of the LoadBalancer that has it.
func (b *book) get(name string) (service capstanv1.LoadBalancerService, since int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if e := b.entries[name]; e != nil {
		return e.LoadBalancerService, e.since, true
	}
	return capstanv1.LoadBalancerService{}, 0, false
}

// has tells whether a Service is in the book.
func (b *book) has(name string) bool {
	_, _, ok := b.get(name)
	return ok
}

// names are those of all Services.
func (b *book) names() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.entries))
}

// isEmpty tells that there is no Service.
func (b *book) isEmpty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.entries) == 0
}

// page returns all Services in the order of their names, as of a version.
func (b *book) page() (services []capstanv1.LoadBalancerService, version uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(b.entries)) {
		services = append(services, b.entries[name].LoadBalancerService)
	}
	return services, b.version
}

// stand notes that the LoadBalancer has what stood in the book at a version.
func (b *book) stand(version uint64, generation int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.entries {
		if e.since == 0 && e.version <= version {
			e.since = generation
		}
	}
}

// users are the Services on a virtual address, but for one.
func (b *book) users(vip, but string) []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var users []string
	for name, e := range b.entries {
		if e.VIP == vip && name != but {
			users = append(users, name)
		}
	}
	slices.Sort(users)
	return users
}
