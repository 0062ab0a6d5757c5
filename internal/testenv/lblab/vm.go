package lblab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbclient"
	"github.com/capstan-k8s/capstan/internal/netlab"
	"github.com/capstan-k8s/capstan/internal/netlab/lbnode"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// maxConnections is what HAProxy may carry: twice as many open files are within the
// limits that a shell has.
const maxConnections = 8000

// VM is a load-balancer VM: a node, and the manager's connection to its agent.
type VM struct {
	*netlab.Node
	lab    *Lab
	token  pki.Token
	target lbclient.Target
	client *lbclient.Client
}

func (l *Lab) newVM(number int) (*VM, error) {
	name := "lb-" + string(rune('a'+number))
	address := netip.AddrFrom4([4]byte{10, 77, 0, byte(10 + number)})
	node, err := l.Net.NewNode(name, address, Six(address))
	if err != nil {
		return nil, err
	}
	listen := netip.AddrPortFrom(node.Address, lbapi.Port).String()
	vm := &VM{Node: node, lab: l, token: pki.NewToken(), target: lbclient.Target{Address: listen, Agent: pki.AgentRef{Name: name}}}
	config, err := lbapi.LBConfig{Name: name, Listen: listen, EnrolmentToken: vm.token.Reveal()}.Marshal()
	if err != nil {
		return nil, err
	}
	return vm, lbnode.Start(node, lbnode.Options{
		Programs: lbnode.Programs{
			CapstanLB: l.programs.CapstanLB, Probe: l.programs.Probe, HAProxy: lbnode.HAProxy, Keepalived: lbnode.Keepalived,
		},
		Config: config, MaxConnections: maxConnections,
	})
}

// PowerOn boots the VM from its disk.
func (vm *VM) PowerOn() error {
	return vm.Node.PowerOn(func() error { return lbnode.Settings(vm.Node) })
}

// enrol does what the manager does when the VM is new.
func (vm *VM) enrol(ctx context.Context) error {
	err := until(ctx, func() error {
		return lbclient.Enrol(ctx, vm.target, vm.lab.manager, vm.token, func(_ context.Context, pin pki.Pin) error {
			vm.target.Agent.Pin = pin
			return nil
		})
	})
	if err != nil {
		return err
	}
	return vm.Redial()
}

// GomegaString is what a test that fails says of the VM, whose connection is at work
// meanwhile.
func (vm *VM) GomegaString() string { return vm.Name }

// Redial connects anew, as a manager does that has not waited for a VM.
func (vm *VM) Redial() error {
	if err := vm.HangUp(); err != nil {
		return err
	}
	client, err := lbclient.Dial(vm.target, vm.lab.manager)
	vm.client = client
	return err
}

// HangUp ends the connection to the agent: there is no manager.
func (vm *VM) HangUp() error {
	if vm.client == nil {
		return nil
	}
	err := vm.client.Close()
	vm.client = nil
	return err
}

// Apply gives the VM a plan as it is, Self apart, and returns its status after it.
func (vm *VM) Apply(ctx context.Context, plan lbapi.Plan) (lbapi.Status, error) {
	plan.Self = vm.Name
	return vm.client.Apply(ctx, plan)
}

// Peers are the addresses of those whom the VM's keepalived speaks to.
func (vm *VM) Peers() ([]netip.Addr, error) {
	data, err := os.ReadFile(lbnode.KeepalivedConfig(vm.Node))
	if err != nil {
		return nil, fmt.Errorf("peers of %s: %w", vm.Name, err)
	}
	_, block, _ := strings.Cut(string(data), "unicast_peer {")
	block, _, _ = strings.Cut(block, "}")
	var peers []netip.Addr
	for word := range strings.FieldsSeq(block) {
		peer, err := netip.ParseAddr(word)
		if err != nil {
			return nil, fmt.Errorf("peers of %s: %w", vm.Name, err)
		}
		peers = append(peers, peer)
	}
	return peers, nil
}

// errSeen ends a watch.
var errSeen = errors.New("seen")

// Status asks the VM how it is.
func (vm *VM) Status(ctx context.Context) (lbapi.Status, error) {
	return vm.Await(ctx, func(lbapi.Status) bool { return true })
}

// Await follows the VM's status until one is good.
func (vm *VM) Await(ctx context.Context, good func(lbapi.Status) bool) (last lbapi.Status, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err = vm.client.Watch(ctx, func(status lbapi.Status) {
		last = status
		if good(status) {
			cancel(errSeen)
		}
	})
	if errors.Is(context.Cause(ctx), errSeen) {
		return last, nil
	}
	return last, err
}

// until tries something that is not possible yet.
func until(ctx context.Context, try func() error) error {
	const often = 50 * time.Millisecond
	ticker := time.NewTicker(often)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}
