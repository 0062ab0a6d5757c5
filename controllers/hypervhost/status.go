package hypervhost

import (
	"errors"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// setStatus works out the whole status from what the reconcile knows. What a
// host said last stays where it cannot be asked now.
func setStatus(s *scope) {
	host := s.host
	host.Status.ObservedGeneration = host.Generation
	if s.hello != nil {
		if host.Status.Agent == nil {
			host.Status.Agent = &capstanv1.HostAgent{}
		}
		agent := host.Status.Agent
		agent.Version, agent.Driver, agent.HostName, agent.BootID = s.hello.Version, s.hello.Driver, s.hello.Host, s.hello.BootID
	}
	if s.inventory != nil {
		setInventory(&host.Status, s.inventory, s.asked)
	}
	setConnected(s)
	setLastAnswer(s)
	setMaintenance(s)
	switch {
	case host.Spec.Lost:
		conditions.False(host, capstanv1.ReadyCondition, capstanv1.ReasonHostLost, "spec.lost says that the host is gone for good")
	case s.err != nil:
		conditions.False(host, capstanv1.ReadyCondition, reasonOf(s.err), "%s%s", s.err, since(host))
	default:
		conditions.Summarize(host, capstanv1.ReadyCondition, capstanv1.ReasonReady, "the host answers", capstanv1.AgentConnectedCondition)
	}
}

func setConnected(s *scope) {
	reason := reasonOf(s.err)
	switch {
	case s.hello != nil && reason != capstanv1.ReasonHostUnreachable:
		conditions.True(s.host, capstanv1.AgentConnectedCondition, capstanv1.ReasonConnected, "agent %s answers", s.hello.Version)
	case s.err != nil && reason != capstanv1.ReasonInternalError:
		conditions.False(s.host, capstanv1.AgentConnectedCondition, reason, "%s", s.err)
	}
}

// since says how long a host has not been connected.
func since(host *capstanv1.HyperVHost) string {
	c := conditions.Get(host, capstanv1.AgentConnectedCondition)
	if c == nil || c.Status == metav1.ConditionTrue {
		return ""
	}
	return ", since " + c.LastTransitionTime.UTC().Format("2006-01-02T15:04:05Z")
}

// reasonOf gives an error its reason. Those of which the API server is the cause
// are internal: they are tried again at once, and with a growing delay.
func reasonOf(err error) string {
	if err == nil {
		return ""
	}
	var noToken *noTokenError
	var enrolment *enrolmentError
	var typed *hostapi.Error
	switch {
	case errors.As(err, &noToken):
		return capstanv1.ReasonWaitingForEnrolment
	case errors.As(err, &enrolment):
		return capstanv1.ReasonEnrolmentFailed
	case errors.Is(err, hostapi.ErrNotEnrolled):
		return capstanv1.ReasonWaitingForEnrolment
	case errors.Is(err, hostapi.ErrCertificateMismatch), errors.Is(err, hostapi.ErrCertificateDates):
		return capstanv1.ReasonAgentCertificateMismatch
	case errors.Is(err, hostapi.ErrNoCommonProtocol):
		return capstanv1.ReasonAgentIncompatible
	case !errors.As(err, &typed):
		return capstanv1.ReasonInternalError
	case typed.Class == hostapi.HostUnreachable:
		return capstanv1.ReasonHostUnreachable
	default:
		return capstanv1.ReasonTransientError
	}
}

func setInventory(status *capstanv1.HyperVHostStatus, from *hostapi.Inventory, asked time.Time) {
	if status.Agent != nil {
		status.Agent.HypervisorVersion = from.HypervisorVersion
	}
	status.FailoverCluster = from.FailoverCluster
	status.Processors = from.Processors
	status.VMs = from.VMs
	status.Switches = sorted(from.Switches)
	status.MemoryFree = quantity(steady(bytesOf(status.MemoryFree), from.MemoryFreeMiB<<20, from.MemoryMiB<<20))
	status.Memory = quantity(from.MemoryMiB << 20)

	former := map[string]capstanv1.HostVolume{}
	for _, v := range status.Volumes {
		former[v.Name] = v
	}
	volumes := make([]capstanv1.HostVolume, 0, len(from.Volumes))
	for _, v := range from.Volumes {
		was, known := former[v.Name]
		free := v.FreeBytes
		if known {
			free = steady(was.Free.Value(), v.FreeBytes, v.Bytes)
		}
		is := capstanv1.HostVolume{
			Name: v.Name, Capacity: *quantity(v.Bytes), Free: *quantity(free), Provisioned: *quantity(v.ProvisionedBytes),
			Fault: string(v.Fault), Images: imagesOn(v.Name, from.Images),
		}
		is.FaultSince = faultSince(&was, &is, asked)
		volumes = append(volumes, is)
	}
	slices.SortFunc(volumes, func(a, b capstanv1.HostVolume) int { return strings.Compare(a.Name, b.Name) })
	status.Volumes = volumes
}

// faultSince is since when a volume is in the trouble that it is in. How it is out of
// reach makes no difference.
func faultSince(was, is *capstanv1.HostVolume, now time.Time) *metav1.Time {
	switch {
	case is.Fault == "":
		return nil
	case was.FaultSince != nil && (was.Fault == is.Fault || was.IsOut() && is.IsOut()):
		return was.FaultSince
	}
	since := metav1.NewTime(now.Truncate(time.Second))
	return &since
}

// noise is the part of a capacity by which what is free may differ from what the
// status says: figures that move by themselves would be written all the time.
const noise = 256

func steady(was, is, capacity int64) int64 {
	if diff := max(was-is, is-was); diff < capacity/noise {
		return was
	}
	return is
}

func imagesOn(volume string, images []hostapi.Image) []string {
	var sums []string
	for _, image := range images {
		if image.Volume == volume && image.Operation == nil {
			sums = append(sums, image.SHA256)
		}
	}
	return sorted(sums)
}

func sorted(in []string) []string {
	out := slices.Clone(in)
	slices.Sort(out)
	return slices.Compact(out)
}

func quantity(bytes int64) *resource.Quantity { return resource.NewQuantity(bytes, resource.BinarySI) }

func bytesOf(q *resource.Quantity) int64 {
	if q == nil {
		return 0
	}
	return q.Value()
}
