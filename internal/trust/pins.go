package trust

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// pinKey is the key in a pin's Secret.
const pinKey = "pin"

// Agent is whose pin is meant: a host's agent or that of a load-balancer VM.
type Agent struct {
	secret client.ObjectKey
	owner  metav1.OwnerReference
}

// HostAgent is the agent of a host. Its pin is kept in the manager's namespace
// and goes with the HyperVHost.
func HostAgent(namespace string, host *capstanv1.HyperVHost) Agent {
	return Agent{
		secret: client.ObjectKey{Namespace: namespace, Name: "capstan-agent-" + host.Name},
		owner:  metav1.OwnerReference{APIVersion: capstanv1.GroupVersion.String(), Kind: "HyperVHost", Name: host.Name, UID: host.UID},
	}
}

// Instance is the agent in a load-balancer VM. Its pin is kept beside the VM and
// goes with it.
func Instance(vm *capstanv1.VirtualMachine) Agent {
	return Agent{
		secret: client.ObjectKey{Namespace: vm.Namespace, Name: vm.Name + "-agent"},
		owner:  metav1.OwnerReference{APIVersion: capstanv1.GroupVersion.String(), Kind: "VirtualMachine", Name: vm.Name, UID: vm.UID},
	}
}

// Pins keeps the pins of agents. What was read once is remembered: only the
// leading manager writes pins. It is safe for concurrent use.
type Pins struct {
	// Client writes. Live reads past every cache.
	Client client.Writer
	Live   client.Reader

	mu    sync.Mutex
	known map[Agent]pki.Pin
}

// Pin returns the pin of an agent, which is zero while none is recorded.
func (p *Pins) Pin(ctx context.Context, agent Agent) (pki.Pin, error) {
	p.mu.Lock()
	pin, ok := p.known[agent]
	p.mu.Unlock()
	if ok {
		return pin, nil
	}
	secret := &corev1.Secret{}
	err := p.Live.Get(ctx, agent.secret, secret)
	switch {
	case apierrors.IsNotFound(err):
		return pki.Pin{}, nil
	case err != nil:
		return pki.Pin{}, fmt.Errorf("reading Secret %s: %w", agent.secret, err)
	case !agent.owns(secret):
		// It is of an object that had the name before, and about to go.
		return pki.Pin{}, nil
	}
	if pin, err = pki.ParsePin(string(secret.Data[pinKey])); err != nil {
		return pki.Pin{}, fmt.Errorf("reading key %s of Secret %s: %w", pinKey, agent.secret, err)
	}
	p.remember(agent, pin)
	return pin, nil
}

// Record stores the pin of an agent, and returns once it is stored for good.
func (p *Pins) Record(ctx context.Context, agent Agent, pin pki.Pin) error {
	wanted := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: agent.secret.Namespace, Name: agent.secret.Name,
			Labels:          map[string]string{Label: labelAgent},
			OwnerReferences: []metav1.OwnerReference{agent.owner},
		},
		Data: map[string][]byte{pinKey: []byte(pin.String())},
	}
	present := &corev1.Secret{}
	err := p.Live.Get(ctx, agent.secret, present)
	switch {
	case apierrors.IsNotFound(err):
		err = p.Client.Create(ctx, wanted)
	case err == nil && present.Labels[Label] != labelAgent:
		return fmt.Errorf("recording the key of an agent: Secret %s exists and is not Capstan's: it is left alone", agent.secret)
	case err == nil:
		wanted.ResourceVersion = present.ResourceVersion
		err = p.Client.Update(ctx, wanted)
	}
	if err != nil {
		return fmt.Errorf("writing Secret %s: %w", agent.secret, err)
	}
	p.remember(agent, pin)
	return nil
}

// Reread makes the next Pin read the Secret again.
func (p *Pins) Reread(agent Agent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.known, agent)
}

// Forget removes the pin of an agent.
func (p *Pins) Forget(ctx context.Context, agent Agent) error {
	secret := &corev1.Secret{}
	err := p.Live.Get(ctx, agent.secret, secret)
	if err == nil && agent.owns(secret) {
		err = p.Client.Delete(ctx, secret, client.Preconditions{UID: &secret.UID})
	}
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting Secret %s: %w", agent.secret, err)
	}
	p.Reread(agent)
	return nil
}

// HostGone drops what is remembered of a host that is no more. Its Secret goes
// with the HyperVHost.
func (p *Pins) HostGone(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for agent := range p.known {
		if agent.owner.Kind == "HyperVHost" && agent.owner.Name == host {
			delete(p.known, agent)
		}
	}
}

func (p *Pins) remember(agent Agent, pin pki.Pin) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		p.known = map[Agent]pki.Pin{}
	}
	p.known[agent] = pin
}

func (a Agent) owns(secret *corev1.Secret) bool {
	for _, ref := range secret.OwnerReferences {
		if ref.UID == a.owner.UID {
			return true
		}
	}
	return false
}
