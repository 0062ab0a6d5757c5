package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// seedFolder is where a guest sees its seed, as long as it has one.
const seedFolder = "/var/lib/cloud/seed/nocloud"

const lookAtGuests = 200 * time.Millisecond

// balancerUnits must run in a load balancer before it can take the VIP: its peer may be
// killed next.
var balancerUnits = []string{"capstan-lb.service", "capstan-lb-haproxy.service", "capstan-lb-keepalived.service"}

// identity is what a guest must still have after a boot without its seed.
type identity struct {
	hostname, machineID, addresses, hostKeys string
	// node is empty for a load balancer.
	node, providerID, internalIP string
}

// reboot boots every guest once more, after its seed is gone: never so many at a time
// that the cluster would be without.
func (s *story) reboot() narrator.Chapter {
	return narrator.Chapter{Title: "every guest is booted again without its seed", Tell: func(ctx context.Context) error {
		vms, err := s.vms(ctx)
		if err != nil {
			return err
		}
		active, err := s.ActiveLoadBalancer(ctx, shop)
		if err != nil {
			return err
		}
		for _, group := range inTurn(vms, active.Name) {
			s.Screen.Step(fmt.Sprintf("%s boot again", names(group)))
			err := s.Within(ctx, func(ctx context.Context) error {
				together, ctx := errgroup.WithContext(ctx)
				for i := range group {
					together.Go(func() error { return s.rebootOne(ctx, &group[i]) })
				}
				return together.Wait()
			})
			if err != nil {
				return err
			}
			if err := s.Settle(ctx); err != nil {
				return err
			}
		}
		s.Screen.Step("all have kept name, address, machine ID, host keys and node")
		return s.settleAndVisit(ctx)
	}}
}

// inTurn says who may boot together: workers and the load balancer that does not hold
// the VIP, and then everybody else alone.
func inTurn(vms []capstanv1.VirtualMachine, active string) [][]capstanv1.VirtualMachine {
	groups := [][]capstanv1.VirtualMachine{nil}
	for i := range vms {
		if vm := vms[i]; vm.Spec.Role == capstanv1.RoleControlPlane || vm.Name == active {
			groups = append(groups, []capstanv1.VirtualMachine{vm})
		} else {
			groups[0] = append(groups[0], vm)
		}
	}
	return slices.DeleteFunc(groups, func(g []capstanv1.VirtualMachine) bool { return len(g) == 0 })
}

func (s *story) rebootOne(ctx context.Context, vm *capstanv1.VirtualMachine) error {
	guest, err := s.awaitSeedless(ctx, vm)
	if err != nil {
		return err
	}
	before, err := s.identify(ctx, vm, guest)
	if err != nil {
		return err
	}
	booted := time.Now()
	// What runs in the guest may go with it before it has said that it was well.
	_, problem := guest.Run(ctx, "systemctl", "--no-block", "reboot")
	err = wait.PollUntilContextCancel(ctx, lookAtGuests, true, func(ctx context.Context) (bool, error) {
		var after identity
		if after, problem = s.upAgain(ctx, vm, guest, booted); problem == nil && after != before {
			return false, fmt.Errorf("after a boot without its seed VM %s is %+v, and was %+v", vm.Name, after, before)
		}
		return problem == nil, nil
	})
	if err != nil {
		return errors.Join(fmt.Errorf("waiting until VM %s is up again: %w", vm.Name, err), problem)
	}
	return nil
}

// upAgain says who a guest is after its boot, or why that cannot be told yet.
func (s *story) upAgain(ctx context.Context, vm *capstanv1.VirtualMachine, before machinehosts.Guest, booted time.Time) (identity, error) {
	now, err := s.Env.Machines.Guest(vm.Spec.ID)
	if err != nil {
		return identity{}, err
	}
	if now.Init == before.Init {
		return identity{}, fmt.Errorf("VM %s has not been booted yet", vm.Name)
	}
	after, err := s.identify(ctx, vm, now)
	if err != nil {
		return identity{}, err
	}
	return after, s.renewed(ctx, vm, now, booted)
}

// awaitSeedless waits until a guest cannot see its seed any more.
func (s *story) awaitSeedless(ctx context.Context, vm *capstanv1.VirtualMachine) (guest machinehosts.Guest, err error) {
	var left string
	err = wait.PollUntilContextCancel(ctx, lookAtGuests, true, func(ctx context.Context) (bool, error) {
		if guest, err = s.Env.Machines.Guest(vm.Spec.ID); err != nil {
			return false, err
		}
		left, err = guest.Run(ctx, "find", seedFolder, "-type", "f")
		return err == nil && left == "", err
	})
	if err != nil {
		return guest, fmt.Errorf("waiting until VM %s has no seed (%s): %w", vm.Name, strings.Fields(left), err)
	}
	return guest, nil
}

func (s *story) identify(ctx context.Context, vm *capstanv1.VirtualMachine, guest machinehosts.Guest) (identity, error) {
	var id identity
	for _, question := range []struct {
		answer  *string
		program string
		args    []string
	}{
		{&id.hostname, "hostname", nil},
		{&id.machineID, "cat", []string{"/etc/machine-id"}},
		{&id.addresses, "ip", []string{"-oneline", "-4", "address", "show", "dev", "eth0", "scope", "global", "permanent"}},
		{&id.hostKeys, "sha256sum", []string{"/etc/ssh/ssh_host_ed25519_key"}},
	} {
		out, err := guest.Run(ctx, question.program, question.args...)
		if err != nil {
			return id, err
		}
		*question.answer = out
	}
	vips, err := s.virtual(ctx)
	if err != nil {
		return id, err
	}
	own := addressesIn(id.addresses, vips)
	if !slices.Contains(own, vm.Status.Addresses[0]) {
		return id, fmt.Errorf("VM %s has not its address %s yet, but %v", vm.Name, vm.Status.Addresses[0], own)
	}
	id.addresses = strings.Join(own, " ")
	if vm.Spec.Role == capstanv1.RoleLoadBalancer {
		return id, nil
	}
	node, err := s.node(ctx, vm.Name)
	if err != nil {
		return id, err
	}
	id.node, id.providerID = string(node.UID), node.Spec.ProviderID
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			id.internalIP = address.Address
		}
	}
	return id, nil
}

// virtual are the cluster's virtual addresses, which move from one load balancer to the
// other.
func (s *story) virtual(ctx context.Context) ([]string, error) {
	balancer := &capstanv1.LoadBalancer{}
	if err := s.API.Get(ctx, shop, balancer); err != nil {
		return nil, fmt.Errorf("reading LoadBalancer %s: %w", shop.Name, err)
	}
	return append(balancer.Status.VIPs, s.vip.String()), nil
}

// addressesIn are the addresses of what ip prints, a line for each, but for some.
func addressesIn(printed string, but []string) []string {
	var all []string
	for line := range strings.Lines(printed) {
		_, rest, _ := strings.Cut(line, " inet ")
		if address, _, found := strings.Cut(rest, "/"); found && !slices.Contains(but, address) {
			all = append(all, address)
		}
	}
	return all
}

func (s *story) node(ctx context.Context, name string) (*corev1.Node, error) {
	nodes, err := s.Nodes(ctx, shop)
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(nodes, func(n corev1.Node) bool { return n.Name == name }); i >= 0 {
		return &nodes[i], nil
	}
	return nil, fmt.Errorf("cluster %s has no node %s", shop.Name, name)
}

// renewed returns an error until a guest does its work again: until the kubelet of a node
// has been heard of since, or all of a load balancer runs.
func (s *story) renewed(ctx context.Context, vm *capstanv1.VirtualMachine, guest machinehosts.Guest, since time.Time) error {
	if vm.Spec.Role == capstanv1.RoleLoadBalancer {
		said, err := guest.Run(ctx, "systemctl", append([]string{"is-active"}, balancerUnits...)...)
		if err != nil {
			return fmt.Errorf("of %s %s: %w", balancerUnits, strings.Fields(said), err)
		}
		return nil
	}
	api, err := s.WorkloadClient(shop)
	if err != nil {
		return err
	}
	lease := &coordinationv1.Lease{}
	if err := api.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceNodeLease, Name: vm.Name}, lease); err != nil {
		return fmt.Errorf("reading the lease of node %s: %w", vm.Name, err)
	}
	if lease.Spec.RenewTime == nil || lease.Spec.RenewTime.Time.Before(since) {
		return fmt.Errorf("the kubelet of %s has not been heard of since its boot", vm.Name)
	}
	return nil
}
