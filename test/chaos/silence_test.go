package main

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func objectWith(conditions ...any) unstructured.Unstructured {
	return unstructured.Unstructured{Object: map[string]any{
		"kind": "NodePool", "metadata": map[string]any{"namespace": "red", "name": "c1-linux", "uid": "u", "generation": int64(1)},
		"status": map[string]any{"conditions": conditions},
	}}
}

func condition(kind, status, reason, message string) map[string]any {
	return map[string]any{"type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": int64(1)}
}

// changed has the spec of an object be another since its conditions were written.
func changed(object unstructured.Unstructured) unstructured.Unstructured {
	object.SetGeneration(2)
	return object
}

func drained(object unstructured.Unstructured) unstructured.Unstructured {
	object.Object["spec"] = map[string]any{"maintenance": "Drain"}
	return object
}

func TestWhateverWaitsMustSayWhy(t *testing.T) {
	for name, c := range map[string]struct {
		object unstructured.Unstructured
		says   string
	}{
		"Ready":                       {objectWith(condition("Ready", "True", "Ready", "")), ""},
		"waits and says why":          {objectWith(condition("Other", "False", "", ""), condition("Ready", "False", "Placing", "no host has room")), ""},
		"waits for an unknown reason": {objectWith(condition("Ready", "Unknown", "", "")), "is not Ready for no reason"},
		"waits without a message":     {objectWith(condition("Ready", "False", "Placing", "")), "is not Ready (Placing) without a message"},
		"has not been looked at":      {objectWith(), "has no condition Ready"},
		"was Ready before it changed": {changed(objectWith(condition("Ready", "True", "Ready", ""))), "says of an older spec whether it is Ready"},
		"a host that does not drain":  {drained(objectWith(condition("Ready", "True", "Ready", ""))), "has no condition Drained"},
		"a host that drains":          {drained(objectWith(condition("Ready", "True", "Ready", ""), condition("Drained", "False", "Draining", "2 VMs are left"))), ""},
		"a host that drains, mutely":  {drained(objectWith(condition("Ready", "True", "Ready", ""), condition("Drained", "False", "Draining", ""))), "is not Drained (Draining) without a message"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			l, now := newListener(), time.Unix(0, 0)
			g.Expect(l.hear([]unstructured.Unstructured{c.object}, now)).To(BeEmpty(), "who has just come is given time")
			found := l.hear([]unstructured.Unstructured{c.object}, now.Add(longestSilence+time.Second))
			if c.says == "" {
				g.Expect(found).To(BeEmpty())
				return
			}
			g.Expect(found).To(ConsistOf(finding{silent, "NodePool red/c1-linux " + c.says}))
		})
	}
}

func TestWhoHasSpokenMeanwhileIsGivenTimeAnew(t *testing.T) {
	g := NewWithT(t)
	l, now := newListener(), time.Unix(0, 0)
	mute, speaks := []unstructured.Unstructured{objectWith()}, []unstructured.Unstructured{objectWith(condition("Ready", "False", "Placing", "no host"))}
	g.Expect(l.hear(mute, now)).To(BeEmpty())
	g.Expect(l.hear(speaks, now.Add(longestSilence))).To(BeEmpty())
	g.Expect(l.heard).To(Equal(1))
	g.Expect(l.hear(mute, now.Add(2*longestSilence))).To(BeEmpty())
	g.Expect(l.hear(mute, now.Add(4*longestSilence))).To(HaveLen(1))
}

func TestWhoHadNoPowerIsGivenTimeAnew(t *testing.T) {
	g := NewWithT(t)
	l, now := newListener(), time.Unix(0, 0)
	mute := []unstructured.Unstructured{objectWith()}
	g.Expect(l.hear(mute, now)).To(BeEmpty())
	l.excuse()
	g.Expect(l.hear(mute, now.Add(2*longestSilence))).To(BeEmpty())
	g.Expect(l.hear(mute, now.Add(4*longestSilence))).To(HaveLen(1))
}
