package orphan

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// mostAtOnce is how many places are asked at a time.
const mostAtOnce = 16

// place is what one answer speaks for: a stand-alone host, or a failover cluster.
type place struct {
	// name is for people.
	name string
	// hosts are its HyperVHosts, by name, those that are declared lost included.
	hosts []*capstanv1.HyperVHost
	// asked is the host that answered, agent its agent.
	asked *capstanv1.HyperVHost
	agent hostapi.Agent
	// vms are all that bear a stamp, whosever it is.
	vms []hostapi.VM
	// reason and silence say why the place is not judged; both are empty if it is.
	reason, silence string
}

func (p *place) judged() bool { return p.reason == "" }

func (p *place) unjudged(reason, format string, args ...any) {
	p.reason, p.silence = reason, fmt.Sprintf(format, args...)
}

func (r *Reconciler) readHosts(ctx context.Context) ([]capstanv1.HyperVHost, error) {
	list := &capstanv1.HyperVHostList{}
	if err := r.Live.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	return list.Items, nil
}

// placesOf puts the hosts of each failover cluster together.
func placesOf(hosts []capstanv1.HyperVHost) []*place {
	slices.SortFunc(hosts, func(a, b capstanv1.HyperVHost) int { return strings.Compare(a.Name, b.Name) })
	var places []*place
	clusters := map[string]*place{}
	for i := range hosts {
		host := &hosts[i]
		p := clusters[host.Status.FailoverCluster]
		if p == nil {
			p = &place{name: "host " + host.Name}
			places = append(places, p)
			if cluster := host.Status.FailoverCluster; cluster != "" {
				p.name, clusters[cluster] = "failover cluster "+cluster, p
			}
		}
		p.hosts = append(p.hosts, host)
	}
	return places
}

// ask has each place list what it holds. That one does not answer is its own matter.
func (r *Reconciler) ask(ctx context.Context, places []*place) {
	turns := make(chan struct{}, mostAtOnce)
	var asking sync.WaitGroup
	for _, p := range places {
		asking.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			r.askPlace(ctx, p)
		})
	}
	asking.Wait()
}

// askPlace asks one host for all of its place, once every host there is known to answer.
// Each answers for the whole failover cluster, so asking all of them would only cost the
// more; but as long as one is silent, nobody can say what it is about to do.
func (r *Reconciler) askPlace(ctx context.Context, p *place) {
	for _, host := range p.hosts {
		switch {
		case host.Spec.Lost:
		case !conditions.IsTrue(host, capstanv1.AgentConnectedCondition):
			p.unjudged(capstanv1.ReasonHostUnreachable, "host %s does not answer", host.Name)
			return
		case p.asked == nil:
			p.asked = host
		}
	}
	if p.asked == nil {
		p.unjudged(capstanv1.ReasonHostLost, "%s is declared lost", p.name)
		return
	}
	agent, err := r.Hosts.Agent(ctx, p.asked)
	if err == nil {
		p.agent = agent
		p.vms, err = agent.ListVMs(ctx)
	}
	if err != nil {
		reason := capstanv1.ReasonTransientError
		if hostapi.Is(err, hostapi.HostUnreachable) {
			reason = capstanv1.ReasonHostUnreachable
		}
		p.unjudged(reason, "host %s could not list what it holds: %s", p.asked.Name, err)
	}
}

// hostOf is the host that has a VM of the place, or the one that told of it.
func (p *place) hostOf(vm *hostapi.VM) *capstanv1.HyperVHost {
	for _, host := range p.hosts {
		if host.Status.Agent != nil && vm.Host != "" && host.Status.Agent.HostName == vm.Host && !host.Spec.Lost {
			return host
		}
	}
	return p.asked
}

// volumesOf are the volumes of a VM's disks.
func volumesOf(vm *hostapi.VM) []string {
	var volumes []string
	for _, disk := range vm.Disks {
		volumes = append(volumes, disk.Volume)
	}
	slices.Sort(volumes)
	volumes = slices.Compact(volumes)
	return volumes[:min(len(volumes), mostVolumes)]
}

// byAge puts what was found first first.
func byAge(a, b *orphan) int {
	return cmp.Or(a.entry.FirstSeen.Compare(b.entry.FirstSeen.Time), strings.Compare(a.entry.ID, b.entry.ID))
}
