package loadbalancer

import (
	"context"
	"errors"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbclient"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// Bounds on how long one reconcile waits for an agent. A plan that takes longer
// is carried out all the same, and the status says so when it is.
const (
	planTimeout  = 3 * time.Second
	enrolTimeout = 3 * time.Second
)

// instance is one VM with what a reconcile knows of its agent.
type instance struct {
	vm    *capstanv1.VirtualMachine
	agent *agent
	// status is nil while the agent does not answer.
	status *lbapi.Status
	// current tells that it carries the newest plan.
	current bool
	// onItsWay tells that the VM is becoming Ready, and is left to itself to tell how.
	onItsWay bool
	// stranger is a VM that must know of this one before this one is given a plan.
	stranger string
	// verdict is what is to become of the VM.
	verdict verdict
	// reason and message say why it cannot be asked at all, err why it could not be
	// asked now.
	reason, message string
	err             error
	// retry is when to ask again, 0 for when something changes.
	retry time.Duration
}

// findInstances puts together what is known of each VM.
func (r *Reconciler) findInstances(s *scope) {
	key := client.ObjectKeyFromObject(s.lb)
	r.agents.keepOnly(key, s.vms)
	for j := range s.vms {
		i := &instance{vm: &s.vms[j]}
		i.agent = r.agents.of(key, i.vm)
		i.status = i.agent.observed()
		i.reason, i.message = whyNotAsked(i)
		if left := untilHeldUp(i.vm, s.now); i.reason != "" && left > 0 && !i.hasCarried(s.lb) {
			i.onItsWay, i.retry = true, left
			i.reason, i.message = capstanv1.ReasonWaitingForVirtualMachine, "waiting for the virtual machine to run"
		}
		for _, c := range s.candidates {
			if c.vm.UID == i.vm.UID {
				i.verdict = c.verdict
			}
		}
		s.instances = append(s.instances, i)
	}
}

// whyNotAsked returns why the agent of a VM cannot answer yet, or "".
func whyNotAsked(i *instance) (reason, message string) {
	switch {
	case i.status != nil:
		// It has answered: whatever the host says of its VM is older news.
		return "", ""
	case !i.vm.DeletionTimestamp.IsZero():
		return capstanv1.ReasonDeleting, "waiting for the virtual machine to go"
	case i.vm.Status.Phase == capstanv1.VMRunning && agentAddress(i.vm) != "", i.vm.Spec.RetireSeed && agentAddress(i.vm) != "":
		return "", ""
	}
	if ready := conditions.Get(i.vm, capstanv1.ReadyCondition); ready != nil && ready.Message != "" {
		return ready.Reason, ready.Message
	}
	return capstanv1.ReasonWaitingForVirtualMachine, "waiting for the virtual machine to run"
}

// patience is how long a VM's way is left to itself to tell. LoadBalancer, HyperVCluster,
// WorkloadCluster and Cluster API's own all repeat what is told here.
const patience = 30 * time.Second

// untilHeldUp returns for how long a VM that is becoming Ready counts as on its way, or
// 0.
func untilHeldUp(vm *capstanv1.VirtualMachine, now time.Time) time.Duration {
	ready := conditions.Get(vm, capstanv1.ReadyCondition)
	switch {
	case !vm.DeletionTimestamp.IsZero():
		return 0
	case ready == nil:
		return max(vm.CreationTimestamp.Add(patience).Sub(now), 0)
	case ready.Status != metav1.ConditionFalse || conditions.IsFault(ready.Reason):
		return 0
	}
	return max(ready.LastTransitionTime.Add(patience).Sub(now), 0)
}

// carryOut makes sure that a VM carries its plan.
func (r *Reconciler) carryOut(ctx context.Context, i *instance, plan lbapi.Plan) {
	hash := lbapi.Hash(plan)
	if i.carries(plan.Generation, hash) {
		return
	}
	now := r.Clock.Now()
	if i.retry, i.err = i.agent.wait(now); i.retry > 0 {
		return
	}
	status, err := r.trusted(ctx, i, func(ctx context.Context, c *lbclient.Client) (lbapi.Status, error) {
		return c.Apply(ctx, plan)
	})
	if err != nil {
		logTrouble(ctx, i.vm, err)
		i.err = err
		i.retry = i.agent.failed(err, now)
		i.status = i.agent.observed()
		return
	}
	ctrllog.FromContext(ctx).Info("Plan in force", hostapi.LogVMID, i.vm.Spec.ID, "VirtualMachine", i.vm.Name, "generation", status.Generation)
	i.agent.answered(status)
	// It is spent, and kept no longer than the seed.
	i.agent.token = nil
	i.status = &status
	i.carries(plan.Generation, hash)
}

// hasCarried tells whether the VM has ever had a plan.
func (i *instance) hasCarried(lb *capstanv1.LoadBalancer) bool {
	return i.status != nil && i.status.Generation > 0 || hasCarried(lb, i.vm)
}

func hasCarried(lb *capstanv1.LoadBalancer, vm *capstanv1.VirtualMachine) bool {
	was := instanceStatus(lb, vm.Name)
	return vm.Spec.RetireSeed || was != nil && was.AppliedGeneration > 0
}

// meet makes sure of a VM that is not given a plan yet: that it is the manager's,
// and answers.
func (r *Reconciler) meet(ctx context.Context, i *instance) {
	now := r.Clock.Now()
	if i.retry, i.err = i.agent.wait(now); i.retry > 0 {
		return
	}
	// Whoever it waits for may be gone without a word.
	i.retry = lastRetry
	if i.status != nil {
		return
	}
	_, i.err = r.trusted(ctx, i, func(ctx context.Context, c *lbclient.Client) (lbapi.Status, error) {
		_, err := c.Hello(ctx, "")
		return lbapi.Status{}, err
	})
	if i.err != nil {
		logTrouble(ctx, i.vm, i.err)
		i.retry = i.agent.failed(i.err, now)
		return
	}
	i.agent.greeted()
}

func (i *instance) carries(generation int64, hash string) bool {
	i.current = i.status != nil && i.status.Generation == generation && i.status.Hash == hash
	return i.current
}

// trusted asks the agent of a VM, which is enrolled first if need be.
func (r *Reconciler) trusted(ctx context.Context, i *instance, ask question) (lbapi.Status, error) {
	pin, err := r.pinOf(ctx, i)
	if err != nil {
		return lbapi.Status{}, err
	}
	target := lbclient.Target{
		Address: agentAddress(i.vm),
		Agent:   pki.AgentRef{Name: i.vm.Name, Hosts: i.vm.Status.Addresses[:1], Pin: pin},
	}
	if pin.IsZero() {
		if err := r.enrol(ctx, i, &target); err != nil {
			return lbapi.Status{}, err
		}
	}
	status, err := put(ctx, i, target, ask)
	switch lbapi.ClassOf(err) {
	case lbapi.NotEnrolled:
		// The manager ended between recording the pin and installing the certificate.
		err = r.enrol(ctx, i, &target)
	case lbapi.Expired:
		err = r.renew(ctx, i, target)
	default:
		return status, err
	}
	if err != nil {
		return lbapi.Status{}, err
	}
	return put(ctx, i, target, ask)
}

// pinOf returns the pin of an agent. That there is none yet is read once: nobody
// else records it.
func (r *Reconciler) pinOf(ctx context.Context, i *instance) (pki.Pin, error) {
	if i.agent.unpinned {
		return pki.Pin{}, nil
	}
	pin, err := r.Pins.Pin(ctx, i.agent.identity)
	i.agent.unpinned = err == nil && pin.IsZero()
	return pin, err
}

// question is what an agent is asked, once there is a connection.
type question func(context.Context, *lbclient.Client) (lbapi.Status, error)

// put puts a question to a VM that is enrolled.
func put(ctx context.Context, i *instance, target lbclient.Target, ask question) (lbapi.Status, error) {
	c, err := i.agent.connection(target)
	if err != nil {
		return lbapi.Status{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, planTimeout)
	defer cancel()
	return ask(ctx, c)
}

// enrol makes the VM the manager's. The pin is on record before the VM is bound,
// and the token is kept until the VM carries a plan: whenever the manager ends in
// between, doing it again does no harm.
func (r *Reconciler) enrol(ctx context.Context, i *instance, target *lbclient.Target) error {
	// Whatever connection there is was judged by another pin, or none.
	i.agent.disconnect()
	token, err := r.tokenOf(ctx, i)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	return lbclient.Enrol(ctx, *target, r.Manager, token, func(ctx context.Context, pin pki.Pin) error {
		target.Agent.Pin = pin
		i.agent.unpinned = false
		return r.Pins.Record(ctx, i.agent.identity, pin)
	})
}

// renew gives the VM a new certificate. The connection goes too: the manager's own
// certificate, which was shown on it, may be the one that is out of date.
func (r *Reconciler) renew(ctx context.Context, i *instance, target lbclient.Target) error {
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	i.agent.disconnect()
	return lbclient.Renew(ctx, target, r.Manager)
}

// reasonOfInstance maps why a VM does not carry the newest plan to a reason.
func reasonOfInstance(i *instance) string {
	var typed *lbapi.Error
	switch {
	case i.verdict.isDead(), i.verdict.stays, i.verdict.reason == capstanv1.ReasonRepairHeld:
		return i.verdict.reason
	case i.reason != "":
		return i.reason
	case i.err == nil || !errors.As(i.err, &typed):
		return capstanv1.ReasonWaitingForInstances
	}
	switch typed.Class {
	case lbapi.Untrusted:
		return capstanv1.ReasonAgentCertificateMismatch
	case lbapi.Incompatible:
		return capstanv1.ReasonAgentIncompatible
	case lbapi.NotEnrolled:
		return capstanv1.ReasonWaitingForEnrolment
	case lbapi.InvalidPlan, lbapi.TooLarge:
		return capstanv1.ReasonInvalidArgument
	case lbapi.Unreachable, lbapi.Expired, lbapi.Stale, lbapi.Conflict, lbapi.ApplyFailed, lbapi.Transient:
	}
	return capstanv1.ReasonWaitingForInstances
}
