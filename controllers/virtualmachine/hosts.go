package virtualmachine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// speaks tells whether a host speaks for a place.
func speaks(host *capstanv1.HyperVHost, place *capstanv1.Placement) bool {
	return host.SpeaksFor(place.FailoverCluster, place.Host)
}

// speakers are the hosts that speak for the VM and are not lost, the likeliest
// to have it first.
func speakers(vm *capstanv1.VirtualMachine, hosts []capstanv1.HyperVHost) []*capstanv1.HyperVHost {
	var found []*capstanv1.HyperVHost
	for i := range hosts {
		if h := &hosts[i]; !h.Spec.Lost && speaks(h, vm.Spec.Placement) {
			found = append(found, h)
		}
	}
	rank := func(h *capstanv1.HyperVHost) int {
		switch h.Name {
		case vm.Status.Host:
			return 0
		case vm.Spec.Placement.Host:
			return 1
		default:
			return 2
		}
	}
	slices.SortFunc(found, func(a, b *capstanv1.HyperVHost) int {
		if d := rank(a) - rank(b); d != 0 {
			return d
		}
		return strings.Compare(a.Name, b.Name)
	})
	return found
}

// mayYetSpeak returns a host that nothing is known of and that may turn out to be
// in the failover cluster that has the VM, or nil. A status can be lost, as in a
// restored management cluster; that says nothing of the host.
func mayYetSpeak(vm *capstanv1.VirtualMachine, hosts []capstanv1.HyperVHost) *capstanv1.HyperVHost {
	if vm.Spec.Placement.FailoverCluster == "" {
		return nil
	}
	for i := range hosts {
		if h := &hosts[i]; !h.Spec.Lost && h.Status.Memory == nil {
			return h
		}
	}
	return nil
}

// waitForSpeaker waits for a host that may turn out to speak for the VM, or returns
// nil if there is none.
func waitForSpeaker(s *scope) *wait {
	host := mayYetSpeak(s.vm, s.hosts)
	if host == nil {
		return nil
	}
	return &wait{
		reason: capstanv1.ReasonHostUnreachable, requeue: pollWaiting, unknown: true,
		message: fmt.Sprintf("host %s has not said yet whether it is in failover cluster %s, which has the VM",
			host.Name, s.vm.Spec.Placement.FailoverCluster),
	}
}

// ask asks the speakers for the VM until one answers. The answer is in s; the
// error of a VM that does not exist is NotFound. Hosts that are known not to
// answer are not dialled here: their own controller does that, and tells.
func (r *Reconciler) ask(ctx context.Context, s *scope) error {
	var silent []string
	for _, host := range speakers(s.vm, s.hosts) {
		if !connected(host) {
			silent = append(silent, host.Name+sinceWhen(host))
			continue
		}
		agent, err := r.Hosts.Agent(ctx, host)
		if err == nil {
			s.at, s.agent = host, agent
			var vm hostapi.VM
			if vm, err = agent.GetVM(ctx, hostapi.VMID(s.vm.Spec.ID)); err == nil {
				s.seen = &vm
				noteBack(s)
				return r.follow(ctx, s)
			}
		}
		if !hostapi.Is(err, hostapi.HostUnreachable) {
			return err
		}
		silent = append(silent, host.Name+": "+err.Error())
	}
	s.at, s.agent = nil, nil
	return hostapi.Errorf(hostapi.HostUnreachable, "", "", "no host that has the VM answers: %s", strings.Join(silent, "; "))
}

// follow goes to the host that the VM is on now: a failover cluster may have
// moved it.
func (r *Reconciler) follow(ctx context.Context, s *scope) error {
	if s.seen.Host == "" || hostName(s.at) == s.seen.Host {
		return nil
	}
	for _, host := range speakers(s.vm, s.hosts) {
		if hostName(host) != s.seen.Host || !connected(host) {
			continue
		}
		agent, err := r.Hosts.Agent(ctx, host)
		if err != nil {
			return err
		}
		s.at, s.agent = host, agent
	}
	return nil
}

// hostName is what the host calls itself.
func hostName(host *capstanv1.HyperVHost) string {
	if host.Status.Agent == nil {
		return ""
	}
	return host.Status.Agent.HostName
}

func sinceWhen(host *capstanv1.HyperVHost) string {
	c := conditions.Get(host, capstanv1.AgentConnectedCondition)
	if c == nil {
		return " was never asked yet"
	}
	return fmt.Sprintf(" does not answer (%s) since %s", c.Reason, conditions.ClockTime(c.LastTransitionTime.Time))
}
