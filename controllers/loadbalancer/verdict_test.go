package loadbalancer

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/outage"
)

var (
	now    = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)
	limits = Timeouts{Boot: 10 * time.Minute, Silence: 6 * time.Minute}
)

func ago(d time.Duration) time.Time { return now.Add(-d) }

// says is what a VM's own condition says.
func says(status metav1.ConditionStatus, reason string) func(*evidence) {
	return func(e *evidence) {
		e.vm.Status.Conditions = append(e.vm.Status.Conditions, metav1.Condition{Type: capstanv1.ReadyCondition, Status: status, Reason: reason, Message: "because"})
	}
}

func silentFor(d time.Duration) func(*evidence) {
	return func(e *evidence) { e.carried, e.vm.Spec.RetireSeed, e.silentSince = true, true, ago(d) }
}

func placedFor(d time.Duration) func(*evidence) {
	return func(e *evidence) {
		e.vm.Spec.Placement = &capstanv1.Placement{Host: "hv1"}
		e.vm.Status.Conditions = append(e.vm.Status.Conditions, metav1.Condition{
			Type: capstanv1.PlacedCondition, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(ago(d)),
		})
	}
}

func stagedFor(d time.Duration) func(*evidence) {
	return func(e *evidence) {
		e.vm.Status.Conditions = append(e.vm.Status.Conditions, metav1.Condition{
			Type: capstanv1.ImageStagedCondition, Status: metav1.ConditionTrue, LastTransitionTime: metav1.NewTime(ago(d)),
		})
	}
}

func TestWhichVMsMustBeReplaced(t *testing.T) {
	with := func(all ...func(*evidence)) []func(*evidence) { return all }
	lost := func(e *evidence) { e.lost = true }
	answers := func(e *evidence) { e.answers = true }
	inOutage := &outage.Hold{Message: "most hosts do not answer", Until: now.Add(20 * time.Minute)}
	unheard := func(in time.Duration, held *outage.Hold) func(*evidence) {
		return func(e *evidence) {
			e.loss = loss{since: ago(time.Hour), due: now.Add(in), held: held}
		}
	}
	unfitFor := func(d time.Duration) func(*evidence) {
		return func(e *evidence) { e.answers, e.blamed, e.since, e.unfit = true, true, ago(d), "why" }
	}
	served := func(e *evidence) { e.served = true }
	unproven := func(e *evidence) { e.blamed = false }
	carried := func(e *evidence) { e.carried = true }
	tokenLost := func(e *evidence) { e.trouble = errTokenLost }
	for name, tc := range map[string]struct {
		evidence []func(*evidence)
		reason   string
		mayLive  bool
		in       time.Duration
		stays    bool
	}{
		"one that nothing is known of":                   {evidence: nil},
		"one that is being deleted":                      {evidence: with(lost, func(e *evidence) { e.vm.DeletionTimestamp = &metav1.Time{Time: now} })},
		"one on a host that is lost":                     {evidence: with(lost, silentFor(0)), reason: "HostLost"},
		"one that answers from a host called lost":       {evidence: with(lost, answers)},
		"one that its host has no more":                  {evidence: with(silentFor(0), says("False", "VirtualMachineNotFound")), reason: "VirtualMachineNotFound"},
		"one that its host has no more, yet answers":     {evidence: with(silentFor(0), answers, says("False", "VirtualMachineNotFound"))},
		"one that its host will make again":              {evidence: with(placedFor(0), says("False", "VirtualMachineNotFound")), reason: "VirtualMachineNotFound", in: 10 * time.Minute},
		"one that nobody hears of since a while":         {evidence: with(silentFor(time.Hour), says("Unknown", "HostUnreachable"), unheard(3*time.Minute, nil)), reason: "HostLost", in: 3 * time.Minute},
		"one that nobody hears of for long":              {evidence: with(silentFor(time.Hour), says("Unknown", "HostUnreachable"), unheard(0, nil)), reason: "HostLost"},
		"one that nobody hears of in an outage":          {evidence: with(silentFor(time.Hour), says("Unknown", "HostUnreachable"), unheard(0, inOutage)), reason: "RepairHeld", in: 20 * time.Minute},
		"one that nobody hears of, and of late":          {evidence: with(silentFor(time.Hour), says("Unknown", "HostUnreachable"), unheard(30*time.Minute, inOutage)), reason: "RepairHeld", in: 30 * time.Minute},
		"one that nobody heard of, and that answers":     {evidence: with(answers, says("Unknown", "HostUnreachable"), unheard(0, nil))},
		"one whose token is lost before it was used":     {evidence: with(tokenLost), reason: "EnrolmentLost"},
		"one whose token is lost and that has a plan":    {evidence: with(tokenLost, silentFor(0)), reason: "EnrolmentLost", mayLive: true},
		"one that fell silent a moment ago":              {evidence: with(silentFor(time.Minute), says("True", "Ready")), reason: "AgentSilent", mayLive: true, in: 5 * time.Minute},
		"one that has been silent for long":              {evidence: with(silentFor(6*time.Minute), says("True", "Ready")), reason: "AgentSilent", mayLive: true},
		"one that nobody has asked yet":                  {evidence: with(silentFor(0), says("True", "Ready"), func(e *evidence) { e.silentSince = time.Time{} })},
		"one that is off and is being started":           {evidence: with(silentFor(0), says("False", "PoweredOff")), reason: "PoweredOff", mayLive: true, in: 6 * time.Minute},
		"one that is off and cannot be started":          {evidence: with(silentFor(7*time.Minute), says("False", "OutOfCapacity")), reason: "OutOfCapacity", mayLive: true},
		"one that lost its storage":                      {evidence: with(silentFor(7*time.Minute), says("False", "VirtualMachineFailed")), reason: "VirtualMachineFailed", mayLive: true},
		"one whose host is silent, however long":         {evidence: with(silentFor(100*time.Hour), says("Unknown", "HostUnreachable"))},
		"one whose host is lost in a failover cluster":   {evidence: with(silentFor(100*time.Hour), says("Unknown", "HostLost"))},
		"one whose host failed to tell":                  {evidence: with(silentFor(100*time.Hour), says("False", "TransientError"))},
		"a paused one":                                   {evidence: with(silentFor(100*time.Hour), says("False", "Paused"))},
		"a new one without a place":                      {evidence: with(says("False", "Unplaceable"))},
		"a new one that boots":                           {evidence: with(placedFor(time.Minute), says("False", "WaitingForGuest")), reason: "WaitingForGuest", in: 9 * time.Minute},
		"a new one that never came up":                   {evidence: with(placedFor(10*time.Minute), says("False", "WaitingForGuest")), reason: "WaitingForGuest"},
		"a new one whose image took long":                {evidence: with(placedFor(time.Hour), stagedFor(time.Minute), says("False", "WaitingForGuest")), reason: "WaitingForGuest", in: 9 * time.Minute},
		"a new one whose image is on the way":            {evidence: with(placedFor(time.Hour), says("False", "StagingImage"))},
		"a new one that its host has no room for":        {evidence: with(placedFor(11*time.Minute), says("False", "OutOfCapacity")), reason: "OutOfCapacity"},
		"a new one whose host fails again and again":     {evidence: with(placedFor(11*time.Minute), says("False", "TransientError")), reason: "TransientError"},
		"a new one whose agent never answered":           {evidence: with(placedFor(11*time.Minute), says("True", "Ready")), reason: "BootTimeout"},
		"a new one whose host is silent, however long":   {evidence: with(placedFor(100*time.Hour), says("Unknown", "HostUnreachable"))},
		"a new one that another would fare no better":    {evidence: with(placedFor(100*time.Hour), says("False", "ImageNotFound"))},
		"a new one whose agent answers, but has no plan": {evidence: with(placedFor(100*time.Hour), says("True", "Ready"), answers)},
		"one that answers and does not serve, of late":   {evidence: with(carried, served, unfitFor(time.Minute)), reason: "AgentUnfit", mayLive: true, in: 5 * time.Minute},
		"one that answers and never serves again":        {evidence: with(carried, served, unfitFor(6*time.Minute)), reason: "AgentUnfit", mayLive: true},
		"one that never served with its plan":            {evidence: with(carried, unfitFor(6*time.Minute)), reason: "AgentUnfit", mayLive: true, in: 4 * time.Minute},
		"one that served, with a plan nobody served":     {evidence: with(carried, served, unfitFor(100*time.Hour), unproven), reason: "AgentUnfit", mayLive: true, stays: true},
		"one that never served, nor did anybody else":    {evidence: with(unfitFor(10*time.Minute), unproven), reason: "AgentUnfit", mayLive: true},
		"a new one that answers and may yet serve":       {evidence: with(unfitFor(6 * time.Minute)), reason: "AgentUnfit", mayLive: true, in: 4 * time.Minute},
		"a new one that answers and never serves":        {evidence: with(unfitFor(10 * time.Minute)), reason: "AgentUnfit", mayLive: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			e := evidence{vm: &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(ago(200 * time.Hour))}}}
			for _, f := range tc.evidence {
				f(&e)
			}
			v := judge(e, limits, now)
			g.Expect(v.reason).To(Equal(tc.reason))
			g.Expect(v.mayLive).To(Equal(tc.mayLive))
			g.Expect(v.isDead()).To(Equal(tc.reason != "" && tc.in == 0 && !tc.stays))
			if tc.in > 0 {
				g.Expect(v.until).To(Equal(now.Add(tc.in)))
			}
			if tc.reason != "" {
				g.Expect(v.message).NotTo(BeEmpty())
			}
		})
	}
}

func TestASilentVMSaysWhyItsAgentCannotBeAsked(t *testing.T) {
	e := evidence{vm: &capstanv1.VirtualMachine{}, trouble: errors.New("connection refused")}
	placedFor(time.Hour)(&e)
	says("True", "Ready")(&e)
	NewWithT(t).Expect(judge(e, limits, now).message).To(ContainSubstring("connection refused"))
}
