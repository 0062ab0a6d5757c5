package placement

import (
	"fmt"
	"strings"
)

// WhyNot tells of each host, or of its volumes, why it is not taken, in as many bytes as
// there may be. What is left out is counted.
func (t *Trace) WhyNot(limit int) string {
	var said []string
	for _, h := range t.Hosts {
		if h.Reason != "" && len(h.Volumes) == 0 {
			said = append(said, fmt.Sprintf("%s: %s", h.Host, outcome(h.Reason, h.Detail)))
			continue
		}
		for _, v := range h.Volumes {
			if v.Reason != "" {
				said = append(said, fmt.Sprintf("%s on %s: %s", v.Volume, h.Host, outcome(v.Reason, v.Detail)))
			}
		}
	}
	return joined(said, limit)
}

// WhyHere tells how the choice came down to what was taken, in as many bytes as there may
// be: how many would have done, and from each point of view that took some away, how many
// were left.
func (t *Trace) WhyHere(limit int) string {
	if len(t.Scores) == 0 {
		return ""
	}
	would := 0
	for _, h := range t.Hosts {
		if h.Reason == "" {
			would++
		}
	}
	said := []string{fmt.Sprintf("%d of %s would do", would, hosts(len(t.Hosts)))}
	before := [2]int{would, -1}
	last := [2]int{}
	for _, s := range t.Scores {
		last = [2]int{len(s.Hosts), len(s.Volumes)}
		if last != before && (before[1] >= 0 || last[0] < before[0]) {
			said = append(said, fmt.Sprintf("%s: %s with %s left", s.Score, hosts(last[0]), plural(last[1], "volume")))
		}
		before = last
	}
	if last[0] > 1 || last[1] > 1 {
		said = append(said, "of equals the first by name")
	}
	if not := t.WhyNot(limit); not != "" {
		said = append(said, "not taken: "+not)
	}
	return joined(said, limit)
}

// joined cuts a list off where it gets too long.
func joined(said []string, limit int) string {
	const more = len("; and 99999 more")
	var b strings.Builder
	for i, s := range said {
		if b.Len()+len(s)+more > limit {
			fmt.Fprintf(&b, "; and %d more", len(said)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(s)
	}
	return strings.TrimPrefix(b.String(), "; ")
}
