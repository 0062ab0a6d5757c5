package lbplan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// APIFrontend is the name of the API server's frontend.
const APIFrontend = "kube-apiserver"

// Priorities are apart so far that the best peer's head start, a few milliseconds
// for each step, is not lost in the scheduling of a busy host.
const (
	highestPriority = 200
	priorityStep    = 10
	// resigned is the highest priority of those that resign: 16 peers at most begin at
	// 200 and end at 50.
	resigned = 20
)

// serverName is in every API server's certificate that kubeadm makes, whatever
// the machine's own name and address.
const serverName = "kubernetes.default.svc"

// Plans are the plans of one load balancer.
type Plans struct {
	// Hash is of what the plans say, generation apart. As long as it is the same,
	// there is nothing new to number.
	Hash string
	// Refused are the Services and nodes that the plans do not have, and why.
	Refused []Refusal
	// VMs has a plan for each VM that has an address, in the order of their names.
	VMs []lbapi.Plan
}

// Compute returns the plans for the input. It fails, with every fault listed,
// rather than return a plan that a VM would refuse. Of Services it leaves out what a
// VM would refuse.
func Compute(in Input) (Plans, error) {
	frontends, err := frontendsOf(in)
	if err != nil {
		return Plans{}, fmt.Errorf("plan load balancer of cluster %s: %w", in.Cluster, err)
	}
	base := lbapi.Plan{
		Generation: in.Generation, Cluster: in.Cluster,
		VIPs: in.VIPs, Peers: peersOf(in.VMs), Frontends: frontends,
	}
	if len(base.Peers) == 0 {
		return Plans{Hash: lbapi.Hash(base)}, nil
	}
	base.Self = base.Peers[0].Name
	if err := check(base); err != nil {
		return Plans{}, err
	}
	whole, refused := addServices(base, in)
	whole.Self = ""
	shared := lbapi.Canonical(whole)
	plans := Plans{Hash: lbapi.Hash(shared), Refused: refused}
	// They differ in Self alone, which is one of the peers, and in what is left out.
	shared.Self = shared.Peers[0].Name
	if err := check(shared); err != nil {
		return Plans{}, err
	}
	for _, peer := range shared.Peers {
		plan := shared.Clone()
		plan.Self = peer.Name
		if peer.Priority <= resigned {
			plan.VIPs, plan.Frontends = nil, nil
		}
		plans.VMs = append(plans.VMs, plan)
	}
	return plans, nil
}

func check(plan lbapi.Plan) error {
	if faults := lbapi.Validate(plan); len(faults) > 0 {
		return fmt.Errorf("plan load balancer of cluster %s: %w", plan.Cluster, lbapi.InvalidPlanError(faults))
	}
	return nil
}

// peersOf returns every VM that can speak VRRP, the first by name preferred.
func peersOf(vms []VM) []lbapi.Peer {
	vms = slices.DeleteFunc(slices.Clone(vms), func(vm VM) bool { return vm.Address == "" })
	slices.SortFunc(vms, func(a, b VM) int { return strings.Compare(a.Name, b.Name) })
	peers := make([]lbapi.Peer, len(vms))
	last := int32(resigned)
	for i, vm := range vms {
		peers[i] = lbapi.Peer{Name: vm.Name, Address: vm.Address, Priority: int32(highestPriority - priorityStep*i)}
		if vm.Resigns {
			// That it does is part of what all are told, and so of the hash.
			peers[i].Priority = last
			last--
		}
	}
	return peers
}

func frontendsOf(in Input) ([]lbapi.Frontend, error) {
	if len(in.API.CA) == 0 {
		return nil, nil
	}
	ca, err := lbapi.CanonicalCA(in.API.CA)
	if err != nil {
		return nil, err
	}
	return []lbapi.Frontend{{
		Name: APIFrontend, VIP: in.API.VIP, Port: in.API.Port, Protocol: lbapi.TCP,
		AllowedSources: in.API.AllowedSources,
		Backends:       backendsOf(in.Machines, in.API.Port),
		Check: lbapi.Check{
			Kind: lbapi.CheckTLSReadyz, Path: "/readyz", ServerName: serverName, CA: ca,
			Interval: time.Second, Timeout: 3 * time.Second, Rise: 1, Fall: 3,
		},
	}}, nil
}

// backendsOf drains the machines that leave and then leaves them out, but never the
// last that could answer: as long as there is no other, turning clients away helps
// nobody.
func backendsOf(machines []Machine, port int32) []lbapi.Backend {
	spare := HasSpare(machines)
	var backends []lbapi.Backend
	for _, m := range machines {
		if m.Address == "" || spare && m.State == Left {
			continue
		}
		backends = append(backends, lbapi.Backend{Name: m.Name, Address: m.Address, Port: port, Drain: spare && m.State == Leaving})
	}
	return backends
}

// HasSpare tells whether a machine may leave, because another one answers.
func HasSpare(machines []Machine) bool {
	return slices.ContainsFunc(machines, func(m Machine) bool { return m.State == Ready && m.Address != "" })
}
