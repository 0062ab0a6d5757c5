package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// publishing is how long Services of a workload cluster take to be used by others, with
// the whole system at work.
type publishing struct {
	lone  []lone
	crowd many
}

// lone is what became of a Service that came alone, since it was sent to the API server.
type lone struct{ given, told, inForce, published, answered time.Duration }

// many is what became of many Services that came at once, since the first was sent.
type many struct {
	services                             int
	created, inForce, published, removed time.Duration
	answered                             time.Duration
	// specs and writes are how often the LoadBalancer was told of Services, and how
	// often it was written at all, its status included.
	specs, writes int64
	haproxy       int
}

const servicePort = 80

// publish measures both.
func (b *bench) publish(ctx context.Context, s *system) (p publishing, err error) {
	c, err := watch(ctx, s)
	if err != nil {
		return p, err
	}
	if err := c.await(ctx, "the LoadBalancer is seen", func() bool { return c.balancer != nil }); err != nil {
		return p, err
	}
	for i := range b.loneServices {
		one, err := publishOne(ctx, s, c, fmt.Sprintf("lone-%d", i))
		if err != nil {
			return p, err
		}
		p.lone = append(p.lone, one)
	}
	b.step("%d Services, one after the other, each asked on its VIP", b.loneServices)
	if err := removeAll(ctx, s, c); err != nil {
		return p, err
	}
	if p.crowd, err = publishMany(ctx, s, c, b.services); err != nil {
		return p, err
	}
	b.step("%d Services at once are in force on all load-balancer VMs after %d ms", b.services, p.crowd.inForce.Milliseconds())
	return p, nil
}

func newService(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: name},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": name},
			Ports: []corev1.ServicePort{{Port: servicePort, Protocol: corev1.ProtocolTCP}},
		},
	}
}

func publishOne(ctx context.Context, s *system, c *chronicle, name string) (one lone, err error) {
	began := time.Now()
	if err := s.workload.Create(ctx, newService(name)); err != nil {
		return one, fmt.Errorf("creating Service %s: %w", name, err)
	}
	if err := c.await(ctx, "Service "+name+" has an address", func() bool { return c.addresses[name] != "" }); err != nil {
		return one, err
	}
	c.mu.Lock()
	address := c.addresses[name]
	c.mu.Unlock()
	if err := askUntilAnswered(ctx, name, address); err != nil {
		return one, err
	}
	one.answered = time.Since(began)
	carried := metav1.NamespaceDefault + "/" + name
	if err := c.await(ctx, "Service "+name+" is seen in force", func() bool { return !c.inForce[carried].IsZero() }); err != nil {
		return one, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	one.given, one.told = c.given[address].Sub(began), c.told[carried].Sub(began)
	one.inForce, one.published = c.inForce[carried].Sub(began), c.published[name].Sub(began)
	return one, nil
}

// creators is how many Services are created at a time.
const creators = 16

func publishMany(ctx context.Context, s *system, c *chronicle, count int) (m many, err error) {
	m.services = count
	c.mu.Lock()
	specs, writes := c.balancer.Generation, c.writes
	c.mu.Unlock()
	names := make([]string, count)
	for i := range names {
		names[i] = fmt.Sprintf("many-%d", i)
	}
	began := time.Now()
	if err := inParallel(ctx, names, func(name string) error { return s.workload.Create(ctx, newService(name)) }); err != nil {
		return m, fmt.Errorf("creating Services: %w", err)
	}
	m.created = time.Since(began)
	if err := c.await(ctx, fmt.Sprintf("%d Services are in force", count), func() bool {
		return len(c.balancer.Spec.Services) == count && carriesAll(c.balancer)
	}); err != nil {
		return m, err
	}
	m.inForce = time.Since(began)
	c.mu.Lock()
	m.specs, m.writes = c.balancer.Generation-specs, int64(c.writes-writes)
	c.mu.Unlock()
	if err := c.await(ctx, "all Services have addresses", func() bool {
		for _, name := range names {
			if c.addresses[name] == "" {
				return false
			}
		}
		return true
	}); err != nil {
		return m, err
	}
	m.published = time.Since(began)
	if err := inParallel(ctx, names, func(name string) error {
		c.mu.Lock()
		address := c.addresses[name]
		c.mu.Unlock()
		return askUntilAnswered(ctx, name, address)
	}); err != nil {
		return m, err
	}
	m.answered = time.Since(began)
	if m.haproxy, err = memoryOf("haproxy"); err != nil {
		return m, err
	}
	began = time.Now()
	err = removeAll(ctx, s, c)
	m.removed = time.Since(began)
	return m, err
}

// removeAll deletes all Services, and waits until the LoadBalancer has none.
func removeAll(ctx context.Context, s *system, c *chronicle) error {
	c.mu.Lock()
	var names []string
	for _, service := range c.balancer.Spec.Services {
		names = append(names, strings.TrimPrefix(service.Name, metav1.NamespaceDefault+"/"))
	}
	c.mu.Unlock()
	if err := inParallel(ctx, names, func(name string) error { return s.workload.Delete(ctx, newService(name)) }); err != nil {
		return fmt.Errorf("deleting Services: %w", err)
	}
	return c.await(ctx, "no Service is in force", func() bool {
		return len(c.balancer.Spec.Services) == 0 && carriesAll(c.balancer)
	})
}

func inParallel(ctx context.Context, names []string, do func(name string) error) error {
	var mu sync.Mutex
	var errs []error
	workqueue.ParallelizeUntil(ctx, creators, len(names), func(i int) {
		if err := do(names[i]); err != nil {
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		}
	})
	return errors.Join(errs...)
}

// askUntilAnswered asks a Service on its VIP, each time on a new connection, until a
// node answers in its name.
func askUntilAnswered(ctx context.Context, name, address string) error {
	visitor := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	for {
		err := ask(ctx, visitor, name, address)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("asking Service %s on %s: %w", name, address, err)
		}
	}
}

func ask(ctx context.Context, visitor *http.Client, name, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address, nil)
	if err != nil {
		return err
	}
	response, err := visitor.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(body), client.ObjectKeyFromObject(newService(name)).String()+" answers on ") {
		return fmt.Errorf("%.100q is not its answer", body)
	}
	return nil
}

// print prints what was seen of Services.
func (p publishing) print() {
	fmt.Printf("\n%-42s %10s %10s\n", "Service of a workload cluster, alone", "p50 ms", "max ms")
	for _, step := range []struct {
		name string
		of   func(lone) time.Duration
	}{
		{"has an address of its network", func(l lone) time.Duration { return l.given }},
		{"stands in the LoadBalancer", func(l lone) time.Duration { return l.told }},
		{"is in force on all load-balancer VMs", func(l lone) time.Duration { return l.inForce }},
		{"has its address in its status", func(l lone) time.Duration { return l.published }},
		{"first answer on its VIP", func(l lone) time.Duration { return l.answered }},
	} {
		var times []time.Duration
		for _, one := range p.lone {
			times = append(times, step.of(one))
		}
		fmt.Printf("%-42s %10d %10d\n", step.name, percentile(times, 50).Milliseconds(), percentile(times, 100).Milliseconds())
	}
	m := p.crowd
	fmt.Printf("\n%d Services of a workload cluster at once: created after %d ms, in force on all load-balancer VMs after %d ms, "+
		"all published after %d ms, all answered after %d ms, all gone %d ms after their deletion began\n",
		m.services, m.created.Milliseconds(), m.inForce.Milliseconds(), m.published.Milliseconds(), m.answered.Milliseconds(), m.removed.Milliseconds())
	fmt.Printf("until they were in force: %d writes of the LoadBalancer's spec, %d of the object in all; HAProxy RSS %.1f MiB\n",
		m.specs, m.writes, float64(m.haproxy)/1024)
}
