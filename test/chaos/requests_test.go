package main

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestWhatIsAskedForComesOrIsSaidToBeImpossible(t *testing.T) {
	const drained, replacing = capstanv1.DrainedCondition, capstanv1.ReplacingCondition
	for name, c := range map[string]struct {
		kind, cannot string
		says         []metav1.Condition
		lack         string
	}{
		"a host that is drained":      {drained, capstanv1.ReasonCannotDrain, []metav1.Condition{{Type: drained, Status: metav1.ConditionTrue, Reason: capstanv1.ReasonDrained}}, ""},
		"a host that cannot be":       {drained, capstanv1.ReasonCannotDrain, []metav1.Condition{{Type: drained, Status: metav1.ConditionFalse, Reason: capstanv1.ReasonCannotDrain}}, ""},
		"a host with VMs left":        {drained, capstanv1.ReasonCannotDrain, []metav1.Condition{{Type: drained, Status: metav1.ConditionFalse, Reason: "Draining", Message: "1 VM is left"}}, "Draining: 1 VM is left"},
		"a host that says nothing":    {drained, capstanv1.ReasonCannotDrain, nil, "nothing is said of it"},
		"a machine that cannot be":    {replacing, capstanv1.ReasonCannotReplace, []metav1.Condition{{Type: replacing, Status: metav1.ConditionFalse, Reason: capstanv1.ReasonCannotReplace}}, ""},
		"a machine that is there":     {replacing, capstanv1.ReasonCannotReplace, []metav1.Condition{{Type: replacing, Status: metav1.ConditionTrue, Reason: "ReplaceRequested", Message: "asked"}}, "ReplaceRequested: asked"},
		"a machine that waits":        {replacing, capstanv1.ReasonCannotReplace, []metav1.Condition{{Type: replacing, Status: metav1.ConditionFalse, Reason: "WaitingForTurn", Message: "others"}}, "WaitingForTurn: others"},
		"a machine that says nothing": {replacing, capstanv1.ReasonCannotReplace, []metav1.Condition{{Type: drained, Status: metav1.ConditionTrue}}, "nothing is said of it"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(ungrantedBy(c.says, c.kind, c.cannot)).To(Equal(c.lack))
		})
	}
}
