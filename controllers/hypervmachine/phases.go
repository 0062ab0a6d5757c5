package hypervmachine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util"
	"sigs.k8s.io/cluster-api/util/annotations"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// errVMGone says that the VirtualMachine of a machine that had been up is gone.
// Another one would be a machine without its data: replacing it is Cluster API's work.
var errVMGone = errors.New("the VirtualMachine is gone")

// findOwners finds the Machine and its Cluster, as far as they are there.
func (r *Reconciler) findOwners(ctx context.Context, s *scope) error {
	machine, err := util.GetOwnerMachine(ctx, r.Client, s.infra.ObjectMeta)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the Machine of HyperVMachine %s: %w", s.infra.Name, err)
	}
	s.machine = machine
	cluster, err := util.GetClusterFromMetadata(ctx, r.Client, s.infra.ObjectMeta)
	if client.IgnoreNotFound(err) != nil && !errors.Is(err, util.ErrNoCluster) {
		return fmt.Errorf("reading the Cluster of HyperVMachine %s: %w", s.infra.Name, err)
	}
	s.cluster = cluster
	return nil
}

// wasToldOfPause tells whether it is known that the machine is paused, or is not. As
// long as it is not, that it is not is told with the rest.
func wasToldOfPause(infra *infrav1.HyperVMachine) bool {
	return conditions.Get(infra, clusterv1.PausedCondition) != nil
}

func isPaused(s *scope) bool {
	return s.cluster != nil && ptr.Deref(s.cluster.Spec.Paused, false) || annotations.HasPaused(s.infra)
}

// waitsFor returns what must be there before the machine can have a VM, or nil.
func waitsFor(s *scope) *wait {
	switch {
	case s.machine == nil:
		return &wait{capstanv1.ReasonWaitingForCluster, "waiting for a Machine to own this HyperVMachine"}
	case s.cluster == nil:
		return &wait{capstanv1.ReasonWaitingForCluster, "waiting for the Cluster to be known"}
	case !ptr.Deref(s.cluster.Status.Initialization.InfrastructureProvisioned, false):
		return &wait{capstanv1.ReasonWaitingForClusterInfra, "waiting for the cluster's load balancer"}
	case s.machine.Spec.Bootstrap.DataSecretName == nil:
		message := "waiting for the machine's bootstrap data"
		if !util.IsControlPlaneMachine(s.machine) && !controlPlaneInitialized(s.cluster) {
			message = "waiting for the first control-plane machine to be up"
		}
		return &wait{capstanv1.ReasonWaitingForBootstrapData, message}
	}
	return nil
}

func controlPlaneInitialized(cluster *clusterv1.Cluster) bool {
	return ptr.Deref(cluster.Status.Initialization.ControlPlaneInitialized, false)
}

// identify records the finalizer, and the identity where Cluster API reads it,
// before anything is made in its name.
func (r *Reconciler) identify(ctx context.Context, s *scope) error {
	before := s.infra.DeepCopy()
	changed := controllerutil.AddFinalizer(s.infra, infrav1.HyperVMachineFinalizer)
	if s.infra.Spec.ProviderID == "" {
		s.infra.Spec.ProviderID = capstanv1.ProviderIDScheme + identity(s.infra)
		changed = true
	}
	if !changed {
		return nil
	}
	if err := r.Client.Patch(ctx, s.infra, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("recording the identity of HyperVMachine %s: %w", s.infra.Name, err)
	}
	return nil
}

// reconcileVirtualMachine applies the VirtualMachine.
func (r *Reconciler) reconcileVirtualMachine(ctx context.Context, s *scope) error {
	if ptr.Deref(s.infra.Status.Initialization.Provisioned, false) {
		key, vm := client.ObjectKeyFromObject(s.infra), &capstanv1.VirtualMachine{}
		err := r.Client.Get(ctx, key, vm)
		// Past the cache only if that shows none: then applying would make one. One that
		// the cache still shows is applied by its UID, which the API server refuses if
		// it is gone.
		if apierrors.IsNotFound(err) {
			err = r.Live.Get(ctx, key, vm)
		}
		if apierrors.IsNotFound(err) {
			return errVMGone
		}
		if err != nil {
			return fmt.Errorf("reading VirtualMachine %s: %w", s.infra.Name, err)
		}
	}
	current := &capstanv1.VirtualMachine{}
	if err := r.applier.Object(ctx, s.infra, virtualMachine(s), current); err != nil {
		return err
	}
	s.vm = current
	return nil
}

// virtualMachine is the VirtualMachine of a machine. Its identity is that of the
// HyperVMachine, taken from the providerID once that is recorded: a moved
// HyperVMachine has another UID and must keep its VM.
func virtualMachine(s *scope) *capstanv1.VirtualMachine {
	infra, machine := s.infra, s.machine
	role, group := capstanv1.RoleWorker, "workers"
	if util.IsControlPlaneMachine(machine) {
		role, group = capstanv1.RoleControlPlane, "control-plane"
	} else if deployment := machine.Labels[clusterv1.MachineDeploymentNameLabel]; deployment != "" {
		group = deployment
	}
	labels := map[string]string{
		clusterv1.ClusterNameLabel: s.cluster.Name,
		capstanv1.RoleLabel:        strings.ToLower(string(role)),
	}
	for _, key := range []string{capstanv1.WorkloadClusterLabel, capstanv1.NodePoolLabel} {
		if value := machine.Labels[key]; value != "" {
			labels[key] = value
		}
	}
	return &capstanv1.VirtualMachine{
		TypeMeta: metav1.TypeMeta{APIVersion: capstanv1.GroupVersion.String(), Kind: "VirtualMachine"},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: infra.Namespace, Name: infra.Name, Labels: labels,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(infra, infrav1.GroupVersion.WithKind("HyperVMachine"))},
		},
		Spec: capstanv1.VirtualMachineSpec{
			ID:              identity(infra),
			ClusterName:     s.cluster.Name,
			Role:            role,
			Group:           fmt.Sprintf("%s/%s/%s", infra.Namespace, s.cluster.Name, group),
			OS:              infra.Spec.OS,
			Size:            infra.Spec.Size,
			Image:           infra.Spec.Image,
			Networks:        infra.Spec.Networks,
			FailureDomain:   machine.Spec.FailureDomain,
			BootstrapSecret: *machine.Spec.Bootstrap.DataSecretName,
			RetireSeed:      machine.Status.NodeRef.IsDefined(),
			PlacementRules:  infra.Spec.Placement,
			GuestSettings:   infra.Spec.GuestSettings,
		},
	}
}

func identity(infra *infrav1.HyperVMachine) string {
	if id, ok := strings.CutPrefix(infra.Spec.ProviderID, capstanv1.ProviderIDScheme); ok {
		return id
	}
	return string(infra.UID)
}

// delete takes the VirtualMachine away. It is gone only once its host has
// confirmed it, or a Tombstone stands for it.
func (r *Reconciler) delete(ctx context.Context, s *scope) error {
	if !controllerutil.ContainsFinalizer(s.infra, infrav1.HyperVMachineFinalizer) {
		return nil
	}
	vm := &capstanv1.VirtualMachine{}
	gone, err := r.applier.Delete(ctx, s.infra, vm, client.ObjectKeyFromObject(s.infra))
	if err != nil {
		return err
	}
	if !gone {
		s.left = "waiting for the virtual machine to go"
		s.vm = vm
		return r.presumeGoing(ctx, s)
	}
	before := s.infra.DeepCopy()
	controllerutil.RemoveFinalizer(s.infra, infrav1.HyperVMachineFinalizer)
	if err := r.Client.Patch(ctx, s.infra, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer from HyperVMachine %s: %w", s.infra.Name, err)
	}
	return nil
}
