package loadbalancer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// bootstrapKey is the key of a VM's first configuration in its Secret, as Cluster
// API's bootstrap contract has it.
const bootstrapKey = "value"

// errTokenLost says that nobody knows a VM's token any more, so that it can never
// be enrolled: only another VM helps.
var errTokenLost = errors.New("the enrolment token is lost: the virtual machine is replaced")

func bootstrapSecretName(vm string) string { return vm + "-bootstrap" }

func bootstrapSecretKey(vm *capstanv1.VirtualMachine) client.ObjectKey {
	return client.ObjectKey{Namespace: vm.Namespace, Name: bootstrapSecretName(vm.Name)}
}

// agentAddress is where the agent of a VM listens, or "".
func agentAddress(vm *capstanv1.VirtualMachine) string {
	if len(vm.Status.Addresses) == 0 {
		return ""
	}
	return net.JoinHostPort(vm.Status.Addresses[0], strconv.Itoa(lbapi.Port))
}

// reconcileBootstrap gives every VM that has an address its first configuration,
// and takes it back once the seed that was made of it is destroyed.
func (r *Reconciler) reconcileBootstrap(ctx context.Context, s *scope) error {
	for i := range s.vms {
		vm := &s.vms[i]
		var err error
		switch {
		case !vm.DeletionTimestamp.IsZero():
		case conditions.IsTrue(vm, capstanv1.SeedRetiredCondition):
			err = r.forgetBootstrap(ctx, s, vm)
		case !vm.Spec.RetireSeed && agentAddress(vm) != "":
			err = r.ensureBootstrap(ctx, vm)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ensureBootstrap makes the Secret of a VM, with a token made for it alone. Once
// there is a seed, another token would be of no use to anybody.
func (r *Reconciler) ensureBootstrap(ctx context.Context, vm *capstanv1.VirtualMachine) error {
	existing := &corev1.Secret{}
	err := r.Secrets.Get(ctx, bootstrapSecretKey(vm), existing)
	if apierrors.IsNotFound(err) {
		if vm.Status.SeedHash != "" {
			return nil
		}
		if err = r.createBootstrap(ctx, vm); err == nil {
			return nil
		}
		// The cache is late, or somebody has the name.
		if apierrors.IsAlreadyExists(err) {
			err = r.Live.Get(ctx, bootstrapSecretKey(vm), existing)
		}
	}
	if err != nil {
		return fmt.Errorf("making the bootstrap Secret of VirtualMachine %s: %w", vm.Name, err)
	}
	if !apply.OwnedBy(existing, vm.UID) {
		return &apply.NotOwnedError{Kind: "Secret", Namespace: existing.Namespace, Name: existing.Name, Owner: vm.Name}
	}
	return nil
}

func (r *Reconciler) createBootstrap(ctx context.Context, vm *capstanv1.VirtualMachine) error {
	config, err := lbapi.LBConfig{Name: vm.Name, Listen: agentAddress(vm), EnrolmentToken: pki.NewToken().Reveal()}.Marshal()
	if err != nil {
		return err
	}
	return r.Client.Create(ctx, bootstrapSecret(vm, config), client.FieldOwner(capstanv1.FieldOwner))
}

func bootstrapSecret(vm *capstanv1.VirtualMachine, config []byte) *corev1.Secret {
	key := bootstrapSecretKey(vm)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name,
			Labels:          map[string]string{clusterv1.ClusterNameLabel: vm.Spec.ClusterName},
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(vm, capstanv1.GroupVersion.WithKind("VirtualMachine"))},
		},
		Type:      clusterv1.ClusterSecretType,
		Immutable: ptr.To(true),
		Data:      map[string][]byte{bootstrapKey: config},
	}
}

// tokenOf returns the token that a VM's seed holds. It never changes, so it is read
// once while the VM boots, past the cache, which keeps no such data.
func (r *Reconciler) tokenOf(ctx context.Context, i *instance) (pki.Token, error) {
	if i.agent.token != nil {
		return *i.agent.token, nil
	}
	token, err := r.readToken(ctx, i.vm)
	if err == nil {
		i.agent.token = &token
	}
	return token, err
}

func (r *Reconciler) readToken(ctx context.Context, vm *capstanv1.VirtualMachine) (pki.Token, error) {
	secret := &corev1.Secret{}
	err := r.Live.Get(ctx, bootstrapSecretKey(vm), secret)
	if apierrors.IsNotFound(err) {
		return pki.Token{}, errTokenLost
	}
	if err != nil {
		return pki.Token{}, fmt.Errorf("reading the bootstrap Secret of VirtualMachine %s: %w", vm.Name, err)
	}
	config, err := lbapi.ParseLBConfig(secret.Data[bootstrapKey])
	if err != nil {
		return pki.Token{}, fmt.Errorf("reading the bootstrap Secret of VirtualMachine %s: %w", vm.Name, err)
	}
	token, err := pki.ParseToken(config.EnrolmentToken)
	if err != nil {
		return pki.Token{}, fmt.Errorf("reading the bootstrap Secret of VirtualMachine %s: %w", vm.Name, err)
	}
	return token, nil
}

// forgetBootstrap deletes a VM's Secret, which is asked for once in the life of
// the manager.
func (r *Reconciler) forgetBootstrap(ctx context.Context, s *scope, vm *capstanv1.VirtualMachine) error {
	agent := r.agents.of(client.ObjectKeyFromObject(s.lb), vm)
	if agent.isTokenForgotten() {
		return nil
	}
	if _, err := r.applier.Delete(ctx, vm, &corev1.Secret{}, bootstrapSecretKey(vm)); err != nil {
		return err
	}
	agent.tokenForgotten()
	return nil
}

// reconcileSeeds says which VMs need their seed no more: those that carry a plan.
func (r *Reconciler) reconcileSeeds(ctx context.Context, s *scope) error {
	for _, i := range s.instances {
		if !i.current || i.vm.Spec.RetireSeed || !i.vm.DeletionTimestamp.IsZero() {
			continue
		}
		before := i.vm.DeepCopy()
		i.vm.Spec.RetireSeed = true
		if err := r.Client.Patch(ctx, i.vm, client.MergeFrom(before), client.FieldOwner(capstanv1.FieldOwner)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("retiring the seed of VirtualMachine %s: %w", i.vm.Name, err)
		}
	}
	return nil
}
