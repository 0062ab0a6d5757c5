package nodepool

import (
	"cmp"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/translate"
	"github.com/capstan-k8s/capstan/internal/vmimage"
)

// setStatus works out the whole status from what the reconcile knows.
func setStatus(s *scope) {
	pool := s.pool
	pool.Status.ObservedGeneration = pool.Generation
	setPaused(s)
	pool.Status.Selector = labels.SelectorFromSet(translate.MachineLabels(pool)).String()
	if !pool.DeletionTimestamp.IsZero() {
		message := cmp.Or(s.left, "all that was made for the pool is gone")
		if s.err != nil {
			message = s.err.Error()
		}
		conditions.False(pool, capstanv1.ReadyCondition, capstanv1.ReasonDeleting, "%s", message)
		return
	}
	if s.cluster != nil {
		pool.Status.ObservedClusterGeneration = s.cluster.Generation
	}
	if s.err != nil {
		conditions.Failed(pool, capstanv1.ReadyCondition, reasonOf(s.err), s.err)
		return
	}
	setReplicas(s)
	setMachinesReady(s)
	conditions.Summarize(pool, capstanv1.ReadyCondition, capstanv1.ReasonReady,
		fmt.Sprintf("%s ready at %s", conditions.Counted(pool.Status.ReadyReplicas, "node"), pool.Status.Version), capstanv1.MachinesReadyCondition)
}

func reasonOf(err error) string {
	var notOwned *apply.NotOwnedError
	var noImage *vmimage.NotFoundError
	var noCluster *noClusterError
	var version *versionError
	var paused *pausedError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &paused):
		return capstanv1.ReasonPaused
	case errors.As(err, &noCluster):
		return capstanv1.ReasonWaitingForWorkloadCluster
	case errors.As(err, &version):
		return capstanv1.ReasonInvalidSpec
	case errors.As(err, &notOwned):
		return capstanv1.ReasonConflict
	case errors.As(err, &noImage):
		return capstanv1.ReasonImageNotFound
	default:
		return capstanv1.ReasonInternalError
	}
}

func setReplicas(s *scope) {
	status, from := &s.pool.Status, s.deployment.Status
	status.WantedReplicas = wantedReplicas(s)
	status.Replicas = ptr.Deref(from.Replicas, 0)
	status.ReadyReplicas = ptr.Deref(from.ReadyReplicas, 0)
	status.AvailableReplicas = ptr.Deref(from.AvailableReplicas, 0)
	status.UpToDateReplicas = upToDate(s.deployment, s.sets)
	status.Version = s.deployment.Spec.Template.Spec.Version
}

// wantedReplicas is the pool's number or, where it leaves that to the cluster
// autoscaler, the MachineDeployment's.
func wantedReplicas(s *scope) int32 {
	if s.pool.Spec.Autoscaling != nil {
		return ptr.Deref(s.deployment.Spec.Replicas, s.pool.Spec.Autoscaling.Min)
	}
	return s.pool.WantedReplicas()
}

func setMachinesReady(s *scope) {
	wanted := s.pool.Status.WantedReplicas
	switch {
	case s.held:
		conditions.False(s.pool, capstanv1.MachinesReadyCondition, capstanv1.ReasonRolloutPending,
			"%d of %d nodes ready; a change that replaces them is pending since %s and begins at %s",
			s.pool.Status.AvailableReplicas, wanted, conditions.ClockTime(s.pool.Status.PendingRollout.Since.Time), beginning(s))
	case settled(s.deployment, s.sets, wanted):
		setSettled(s, wanted)
	case s.pool.Spec.Rollout.Paused && onlyOutdated(s.deployment, s.sets, wanted):
		conditions.False(s.pool, capstanv1.MachinesReadyCondition, capstanv1.ReasonRolloutPaused,
			"%s ready, %d of them as the spec says; the roll-out is paused: set rollout.paused to false to go on",
			conditions.Counted(s.pool.Status.AvailableReplicas, "node"), s.pool.Status.UpToDateReplicas)
	default:
		conditions.False(s.pool, capstanv1.MachinesReadyCondition, waitingReason(s), "%s", waitingMessage(s, wanted))
	}
}

func setSettled(s *scope, wanted int32) {
	if s.version.waits != "" {
		conditions.False(s.pool, capstanv1.MachinesReadyCondition, s.version.reason,
			"%s ready at %s; %s", conditions.Counted(wanted, "node"), s.pool.Status.Version, s.version.waits)
		return
	}
	message := conditions.Counted(wanted, "node") + " ready"
	if behind := lag(s.pool.Status.Version, s.cluster); behind != "" {
		message += "; " + behind
	}
	conditions.True(s.pool, capstanv1.MachinesReadyCondition, capstanv1.ReasonReady, "%s", message)
}

// waitingReason tells from others that wait a pool of which a machine is not replaced
// because all repair is held.
func waitingReason(s *scope) string {
	if heldMachine(s) != nil {
		return capstanv1.ReasonRepairHeld
	}
	return capstanv1.ReasonWaitingForMachines
}

func heldMachine(s *scope) *infrav1.HyperVMachine {
	for i := range s.machines {
		if c := conditions.Get(&s.machines[i], capstanv1.ReadyCondition); c != nil && c.Reason == capstanv1.ReasonRepairHeld {
			return &s.machines[i]
		}
	}
	return nil
}

func waitingMessage(s *scope, wanted int32) string {
	status := s.pool.Status
	message := fmt.Sprintf("%d of %d nodes ready", min(newAndAvailable(s.deployment, s.sets), wanted), wanted)
	if extra := status.Replicas - wanted; extra > 0 {
		message += fmt.Sprintf(", %d to be removed", extra)
	}
	if s.pool.Spec.Rollout.Paused {
		message += "; the roll-out is paused"
	}
	behind := lag(status.Version, s.cluster)
	if behind != "" {
		message += "; " + behind
	}
	if held := heldMachine(s); held != nil {
		return message + fmt.Sprintf("; %s: %s", held.Name, conditions.Get(held, capstanv1.ReadyCondition).Message)
	}
	for i := range s.machines {
		m := &s.machines[i]
		if c := conditions.Get(m, capstanv1.ReadyCondition); c != nil && c.Status != metav1.ConditionTrue {
			return message + fmt.Sprintf("; %s: %s", m.Name, c.Message)
		}
	}
	for i := range s.machines {
		// A machine is Ready whose guest merely takes long.
		if c := conditions.Get(&s.machines[i], capstanv1.BootstrappedCondition); c != nil {
			return message + fmt.Sprintf("; %s: %s", s.machines[i].Name, c.Message)
		}
	}
	for i := range s.sets {
		// Where it is behind, that is the reason.
		if why := scalingUp(&s.sets[i]); why != "" && behind == "" {
			return message + "; " + why
		}
	}
	return message
}

// beginning tells when a roll-out begins that is held.
func beginning(s *scope) string {
	if s.begins.Before(s.latest) {
		return fmt.Sprintf("%s, or if it is edited again at %s at the latest", conditions.ClockTime(s.begins), conditions.ClockTime(s.latest))
	}
	return fmt.Sprintf("%s, however often it is edited", conditions.ClockTime(s.begins))
}

// onlyOutdated tells whether all that is missing is that nodes be replaced.
func onlyOutdated(md *clusterv1.MachineDeployment, sets []clusterv1.MachineSet, wanted int32) bool {
	return md.Status.ObservedGeneration >= md.Generation &&
		ptr.Deref(md.Status.AvailableReplicas, 0) >= wanted &&
		upToDate(md, sets) < wanted
}

// settled tells whether all machines are there, available and as the spec says.
func settled(md *clusterv1.MachineDeployment, sets []clusterv1.MachineSet, wanted int32) bool {
	return md.Status.ObservedGeneration >= md.Generation &&
		ptr.Deref(md.Spec.Replicas, 0) == wanted &&
		ptr.Deref(md.Status.Replicas, 0) == wanted &&
		ptr.Deref(md.Status.AvailableReplicas, 0) == wanted &&
		upToDate(md, sets) == wanted &&
		replaced(md, sets, wanted)
}
