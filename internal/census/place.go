package census

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Place is what one answer speaks for: a stand-alone host, or a failover cluster.
type Place struct {
	// Name is for people.
	Name string
	// Hosts are its HyperVHosts, by name, those that are declared lost included.
	Hosts []*capstanv1.HyperVHost
	// Asked is the host that was asked, Agent its agent.
	Asked *capstanv1.HyperVHost
	Agent hostapi.Agent
	// VMs are all that bear a stamp, whosever it is, if it was listed.
	VMs []hostapi.VM

	// silent are those that do not answer and are not declared lost.
	silent []*capstanv1.HyperVHost
	// reason and why say why there is no list; both are empty if there is.
	reason, why string
}

// placesOf puts the hosts of each failover cluster together.
func placesOf(hosts []capstanv1.HyperVHost) []*Place {
	slices.SortFunc(hosts, func(a, b capstanv1.HyperVHost) int { return strings.Compare(a.Name, b.Name) })
	var places []*Place
	clusters := map[string]*Place{}
	for i := range hosts {
		host := &hosts[i]
		p := clusters[host.Status.FailoverCluster]
		if p == nil {
			p = &Place{Name: "host " + host.Name}
			places = append(places, p)
			if cluster := host.Status.FailoverCluster; cluster != "" {
				p.Name, clusters[cluster] = "failover cluster "+cluster, p
			}
		}
		p.Hosts = append(p.Hosts, host)
	}
	return places
}

// ask asks one host for all of its place: each answers for the whole failover cluster, so
// asking all of them would only cost the more.
func (p *Place) ask(ctx context.Context, hosts Hosts) {
	for _, host := range p.Hosts {
		switch {
		case host.Spec.Lost:
		case !conditions.IsTrue(host, capstanv1.AgentConnectedCondition):
			p.silent = append(p.silent, host)
		case p.Asked == nil:
			p.Asked = host
		}
	}
	switch {
	case p.Asked == nil && len(p.silent) > 0:
		p.reason, p.why = p.silence()
		return
	case p.Asked == nil:
		p.reason, p.why = capstanv1.ReasonHostLost, p.Name+" is declared lost"
		return
	}
	var err error
	if p.Agent, err = hosts.Agent(ctx, p.Asked); err == nil {
		p.VMs, err = p.Agent.ListVMs(ctx)
	}
	if err == nil {
		return
	}
	p.VMs, p.reason = nil, capstanv1.ReasonTransientError
	if hostapi.Is(err, hostapi.HostUnreachable) {
		p.reason = capstanv1.ReasonHostUnreachable
	}
	p.why = fmt.Sprintf("host %s could not list what it holds: %s", p.Asked.Name, err)
}

// silence says why nobody can be asked, first of those who are more than silent: waiting
// helps the least there.
func (p *Place) silence() (reason, why string) {
	for _, host := range p.silent {
		c := conditions.Get(host, capstanv1.AgentConnectedCondition)
		if _, silent := host.SilentSince(); !silent && c != nil {
			return capstanv1.ReasonHostUnreachable, fmt.Sprintf("host %s cannot be asked (%s: %s)", host.Name, c.Reason, c.Message)
		}
	}
	return capstanv1.ReasonHostUnreachable, fmt.Sprintf("host %s does not answer", p.silent[0].Name)
}

// Unlisted says why the place has no list, or nothing if it has.
func (p *Place) Unlisted() (reason, why string) { return p.reason, p.why }

// Unsettled says why the list, if there is one, cannot be taken for what the place holds:
// as long as a member of a failover cluster is silent, nobody can say what it is about to
// do. It says nothing of one that can.
func (p *Place) Unsettled() (reason, why string) {
	if len(p.silent) > 0 {
		return p.silence()
	}
	return p.Unlisted()
}

// HostOf is the host that has a VM of the place, or the one that told of it.
func (p *Place) HostOf(vm *hostapi.VM) *capstanv1.HyperVHost {
	for _, host := range p.Hosts {
		if host.Status.Agent != nil && vm.Host != "" && host.Status.Agent.HostName == vm.Host && !host.Spec.Lost {
			return host
		}
	}
	return p.Asked
}

// SpeaksFor tells whether a host of the place speaks for where a VM was placed.
func (p *Place) SpeaksFor(at capstanv1.Placement) bool {
	return slices.ContainsFunc(p.Hosts, func(h *capstanv1.HyperVHost) bool { return h.SpeaksFor(at.FailoverCluster, at.Host) })
}

// whole returns the VM of an ID that the place has, or nil.
func (p *Place) whole(id hostapi.VMID) *hostapi.VM {
	for i := range p.VMs {
		if vm := &p.VMs[i]; vm.Stamp.ID == id && !IsRemnant(vm) {
			return vm
		}
	}
	return nil
}

// silentSince tells since when none of its hosts answers, and whether that is so. One that
// answers and is not let in is not silent.
func (p *Place) silentSince() (since time.Time, silent bool) {
	for _, host := range p.silent {
		from, is := host.SilentSince()
		if !is {
			return time.Time{}, false
		}
		if silent = true; from.After(since) {
			since = from
		}
	}
	return since, silent && p.Asked == nil
}

// IsRemnant tells whether nothing can run on what there is of a VM. One that its host knows
// by a name is none, even if it lacks something: a person may put back what it lacks.
func IsRemnant(vm *hostapi.VM) bool { return vm.State == hostapi.StatePartial && vm.Name == "" }
