package loadbalancer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Roles of an instance.
const (
	roleActive  = string(lbapi.RoleActive)
	roleStandby = string(lbapi.RoleStandby)
	roleUnknown = "Unknown"
)

// setStatus works out the whole status from what the reconcile knows.
func setStatus(s *scope, now time.Time) {
	lb := s.lb
	lb.Status.ObservedGeneration = lb.Generation
	conditions.False(lb, clusterv1.PausedCondition, clusterv1.NotPausedReason, "")
	lb.Status.Selector = labels.Set{capstanv1.LoadBalancerLabel: lb.Name}.String()
	if !lb.DeletionTimestamp.IsZero() {
		message := s.left
		if s.err != nil {
			message = s.err.Error()
		}
		lb.Status.Replicas, lb.Status.ReadyReplicas, lb.Status.Instances = int32(len(s.vms)), 0, nil
		conditions.False(lb, capstanv1.ReadyCondition, capstanv1.ReasonDeleting, "%s", message)
		return
	}
	setVIP(s)
	if s.instances != nil || s.err == nil {
		setInstances(s, now)
	}
	setApart(s)
	setUpToDate(s)
	setServices(s)
	setServiceVIPs(s)
	setReady(s)
}

func setVIP(s *scope) {
	lb := s.lb
	switch {
	case s.vip.isAllocated():
		address := s.vip.address.Addr().String()
		lb.Status.VIPs, lb.Status.VRID = vipsOf(s), s.vip.vrid
		if s.vip.contested != "" {
			conditions.False(lb, capstanv1.VIPAllocatedCondition, capstanv1.ReasonAddressTaken, "%s: %s", address, s.vip.contested)
			return
		}
		conditions.True(lb, capstanv1.VIPAllocatedCondition, capstanv1.ReasonAllocated, "%s", address)
	case s.vip.reason != "":
		conditions.False(lb, capstanv1.VIPAllocatedCondition, s.vip.reason, "%s", s.vip.message)
	case s.err != nil && len(lb.Status.VIPs) == 0:
		conditions.Failed(lb, capstanv1.VIPAllocatedCondition, reasonOf(s.err), s.err)
	}
}

func setInstances(s *scope, now time.Time) {
	lb := s.lb
	present := make([]capstanv1.LoadBalancerInstance, 0, len(s.instances))
	var behind []string
	var ready int32
	reason := ""
	for _, i := range s.instances {
		present = append(present, statusOf(i, instanceStatus(lb, i.vm.Name), now))
		switch {
		case !i.vm.DeletionTimestamp.IsZero():
			behind = append(behind, whyDeleted(i.vm))
		case i.verdict.speaksForItself():
			behind = append(behind, i.vm.Name+": "+i.verdict.message+i.outlook())
		case i.current:
			ready++
			continue
		default:
			behind = append(behind, i.vm.Name+": "+whyBehind(s, i)+i.outlook())
		}
		if why := reasonOfInstance(i); reason == "" || reason == capstanv1.ReasonWaitingForInstances {
			reason = why
		}
	}
	lb.Status.Instances = present
	lb.Status.Replicas, lb.Status.ReadyReplicas = int32(len(present)), ready
	wanted := ptr.Deref(lb.Spec.Replicas, 2)
	switch {
	case s.heldBack:
		conditions.False(lb, capstanv1.InstancesReadyCondition, capstanv1.ReasonWaitingForVIP,
			"no virtual machines as long as there is no VIP for them: each would take another address of LogicalNetwork %s", lb.Spec.LogicalNetwork)
	case len(behind) > 0:
		conditions.False(lb, capstanv1.InstancesReadyCondition, reason, "%s", strings.Join(behind, "; "))
	case ready < wanted:
		conditions.False(lb, capstanv1.InstancesReadyCondition, capstanv1.ReasonWaitingForInstances, "%d of %d virtual machines carry the newest plan", ready, wanted)
	default:
		conditions.True(lb, capstanv1.InstancesReadyCondition, capstanv1.ReasonReady, "all %d virtual machines carry plan %d", ready, lb.Status.PlanGeneration)
	}
}

// statusOf tells of one VM. What was last known of a silent one is kept: it most
// likely still carries that plan. Where one is and how it is reached that is on its way
// is of no use to anybody up here.
func statusOf(i *instance, was *capstanv1.LoadBalancerInstance, now time.Time) capstanv1.LoadBalancerInstance {
	is := capstanv1.LoadBalancerInstance{Name: i.vm.Name, Role: roleUnknown, Message: i.message}
	if !i.onItsWay {
		is.Host, is.Address = i.vm.Status.Host, firstAddress(i.vm)
	}
	if was != nil {
		is.AppliedGeneration, is.Since = was.AppliedGeneration, was.Since
	}
	if i.status != nil {
		is.AppliedGeneration = i.status.Generation
		is.Role = roleOf(i.status)
		is.Message = strings.Join(i.status.Messages, "; ")
	}
	if i.err != nil {
		is.Message = tellTrouble(i.vm, i.err)
	}
	if i.stranger != "" {
		is.Message = waitsFor(i.stranger)
	}
	if was == nil || was.Role != is.Role || was.AppliedGeneration != is.AppliedGeneration {
		is.Since = ptr.To(metav1.NewTime(now))
	}
	return is
}

// roleOf sums up the roles for all VIPs. One that can neither hold nor take them
// is no standby to rely on.
func roleOf(status *lbapi.Status) string {
	role := roleUnknown
	for _, vip := range status.VIPs {
		switch vip.Role {
		case lbapi.RoleActive:
			return roleActive
		case lbapi.RoleStandby:
			role = roleStandby
		case lbapi.RoleFault:
		}
	}
	return role
}

func whyDeleted(vm *capstanv1.VirtualMachine) string {
	said := vm.Name + " is being deleted"
	if why := vm.Annotations[capstanv1.ReplacedAnnotation]; why != "" {
		said = vm.Name + " is being replaced: " + why
	}
	if isStuck(vm) {
		said += "; it may still run: " + conditions.Get(vm, capstanv1.ReadyCondition).Message
	}
	return said
}

// outlook says what will become of a VM if nothing changes.
func (i *instance) outlook() string {
	v := i.verdict
	switch {
	case v.isDead():
		return "; it is replaced once another one can take its place"
	case v.stays:
		return "; no virtual machine has served with this plan, so it stays as it is"
	case v.until.IsZero() || i.onItsWay:
		return ""
	}
	return "; unless that changes, it is replaced at " + conditions.ClockTime(v.until)
}

func waitsFor(stranger string) string {
	return fmt.Sprintf("waiting for %s, which may hold the VIP, to know of it or to be gone", stranger)
}

func whyBehind(s *scope, i *instance) string {
	switch {
	case i.message != "":
		return i.message
	case i.err != nil:
		return tellTrouble(i.vm, i.err)
	case i.stranger != "":
		return waitsFor(i.stranger)
	case !s.vip.isAllocated():
		return "waiting for the VIP"
	}
	return fmt.Sprintf("waiting for it to carry plan %d", s.lb.Status.PlanGeneration)
}

// setReady sums up: the VIP must be carried by one VM with the newest plan. That
// all carry it is InstancesReady.
func setReady(s *scope) {
	lb := s.lb
	carried := slices.ContainsFunc(s.instances, func(i *instance) bool { return i.current && roleOf(i.status) == roleActive })
	instances := conditions.Get(lb, capstanv1.InstancesReadyCondition)
	switch {
	case s.err != nil:
		conditions.Failed(lb, capstanv1.ReadyCondition, reasonOf(s.err), s.err)
	case !conditions.IsTrue(lb, capstanv1.VIPAllocatedCondition):
		conditions.Summarize(lb, capstanv1.ReadyCondition, "", "", capstanv1.VIPAllocatedCondition)
	case carried && instances.Status == metav1.ConditionTrue:
		conditions.True(lb, capstanv1.ReadyCondition, capstanv1.ReasonReady, "%s is carried by %d virtual machines", lb.Status.VIPs[0], lb.Status.ReadyReplicas)
	case carried:
		conditions.True(lb, capstanv1.ReadyCondition, capstanv1.ReasonReady, "%s is carried; %s", lb.Status.VIPs[0], instances.Message)
	case instances.Status == metav1.ConditionTrue:
		conditions.False(lb, capstanv1.ReadyCondition, capstanv1.ReasonWaitingForInstances, "waiting for one of the virtual machines to take %s", lb.Status.VIPs[0])
	default:
		conditions.False(lb, capstanv1.ReadyCondition, instances.Reason, "%s", instances.Message)
	}
}

func instanceStatus(lb *capstanv1.LoadBalancer, name string) *capstanv1.LoadBalancerInstance {
	for i := range lb.Status.Instances {
		if lb.Status.Instances[i].Name == name {
			return &lb.Status.Instances[i]
		}
	}
	return nil
}

func reasonOf(err error) string {
	var notOwned *apply.NotOwnedError
	var changed *vipChangedError
	var missing *caMissingError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &missing):
		return capstanv1.ReasonClusterCAMissing
	case errors.As(err, &notOwned), errors.As(err, &changed):
		return capstanv1.ReasonConflict
	case lbapi.ClassOf(err) == lbapi.InvalidPlan:
		return capstanv1.ReasonInvalidSpec
	default:
		return capstanv1.ReasonInternalError
	}
}
