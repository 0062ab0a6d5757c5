package placement

import (
	"fmt"
	"strings"
)

// Trace is how a decision came about.
type Trace struct {
	// Hosts has every host of the snapshot, in the order of names.
	Hosts []HostTrace
	// Scores are the steps in which candidates were narrowed. It is empty if there
	// was no candidate.
	Scores []ScoreStep
}

// HostTrace is why a host was a candidate, or not.
type HostTrace struct {
	Host string
	// Reason is empty for a candidate.
	Reason Reason
	// Detail names the filter that failed, and amounts where it is about one.
	Detail string
	// Volumes are the volumes that it reaches. It is empty where the host itself is
	// out.
	Volumes []VolumeTrace
}

// VolumeTrace is why a volume was a candidate for the first disk, or not.
type VolumeTrace struct {
	Volume string
	Reason Reason
	Detail string
}

// ScoreStep is what one score left.
type ScoreStep struct {
	Score string
	// Best is the best value, lower is better.
	Best    float64
	Hosts   []string
	Volumes []string
}

// String shows the trace to a person.
func (t *Trace) String() string {
	var b strings.Builder
	for _, h := range t.Hosts {
		fmt.Fprintf(&b, "%s: %s\n", h.Host, outcome(h.Reason, h.Detail))
		for _, v := range h.Volumes {
			fmt.Fprintf(&b, "  %s: %s\n", v.Volume, outcome(v.Reason, v.Detail))
		}
	}
	for _, s := range t.Scores {
		fmt.Fprintf(&b, "%s (best %.4g): hosts %s; volumes %s\n", s.Score, s.Best, strings.Join(s.Hosts, ", "), strings.Join(s.Volumes, ", "))
	}
	return b.String()
}

func outcome(reason Reason, detail string) string {
	if reason == "" {
		return "fits"
	}
	return fmt.Sprintf("%s (%s)", reason, detail)
}

func (p *Planner) verdicts(a *ask) []HostTrace {
	traces := make([]HostTrace, len(p.hosts))
	for i := range p.hosts {
		h := &p.hosts[i]
		v := p.judge(a, h)
		t := HostTrace{Host: h.name, Reason: v.reason, Detail: v.detail()}
		switch h.unschedulable {
		case Schedulable:
		case HostSilent:
			t.Reason, t.Detail = HostUnreachable, hostState.name
		case HostDrains:
			t.Reason, t.Detail = HostDraining, hostState.name
		default:
			t.Reason, t.Detail = HostUnschedulable, fmt.Sprintf("%s: %s", hostState.name, h.unschedulable)
		}
		if v.stage > len(hostFilters) && h.unschedulable == Schedulable {
			t.Volumes = p.volumeVerdicts(a, h)
		}
		traces[i] = t
	}
	return traces
}

func (p *Planner) volumeVerdicts(a *ask, h *host) []VolumeTrace {
	var traces []VolumeTrace
	for _, x := range p.scopes[h.scope].volumes {
		v := &p.volumes[x]
		t := VolumeTrace{Volume: v.name}
		if passed := p.passed(&a.lead, v); passed < len(volumeFilters) {
			f := &volumeFilters[passed]
			t.Reason, t.Detail = f.reason, f.name
			switch {
			case f.reason == VolumeFaulted:
				t.Detail = string(v.fault)
			case f.has != nil:
				t.Detail = fmt.Sprintf("asked %s, has %s", inBytes.of(a.lead.bytes), inBytes.of(f.has(p, &a.lead, v)))
			}
		}
		traces = append(traces, t)
	}
	return traces
}

func (v *verdict) detail() string {
	if v.amount {
		return fmt.Sprintf("%s: asked %s, has %s (%s)", v.filter, v.unit.of(v.asked), v.unit.of(max(v.has, 0)), v.at)
	}
	return v.filter
}

func (p *Planner) step(s *score, best float64) ScoreStep {
	step := ScoreStep{Score: s.name, Best: best}
	for _, h := range p.work.hosts {
		step.Hosts = append(step.Hosts, p.hosts[h].name)
	}
	for _, v := range p.work.volumes {
		step.Volumes = append(step.Volumes, p.volumes[v].name)
	}
	return step
}
