package ipam

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// setUnclaimed tells of what is held although its claim is gone.
func setUnclaimed(network *capstanv1.LogicalNetwork, held []*hold) {
	slices.SortFunc(held, func(a, b *hold) int {
		return cmp.Or(a.since.Compare(b.since), strings.Compare(a.Spec.Address, b.Spec.Address))
	})
	network.Status.UnclaimedCount, network.Status.Unclaimed = int32(len(held)), nil
	for _, h := range held[:min(len(held), capstanv1.MostUnclaimed)] {
		network.Status.Unclaimed = append(network.Status.Unclaimed, capstanv1.UnclaimedAddress{
			Address: h.Spec.Address, Claim: h.Spec.ClaimRef.Namespace + "/" + h.Spec.ClaimRef.Name,
			// Times in a status are in whole seconds.
			Reason: h.reason, Since: metav1.Unix(h.since.Unix(), 0), Message: h.message,
		})
	}
	setNoneAbandoned(network, held)
}

// abandonedFor are the reasons for which something is held that nobody is known to use,
// what somebody has to look at first.
var abandonedFor = []struct {
	reason    capstanv1.UnclaimedReason
	condition string
}{
	{capstanv1.UnclaimedForeignUser, capstanv1.ReasonForeignUser},
	{capstanv1.UnclaimedOrphansFound, capstanv1.ReasonOrphansFound},
	{capstanv1.UnclaimedWaitingForHost, capstanv1.ReasonWaitingForHost},
	{capstanv1.UnclaimedGracePeriod, capstanv1.ReasonGracePeriod},
}

// setNoneAbandoned says how much is held that nobody is known to use, what that waits for,
// and how to free it by hand.
func setNoneAbandoned(network *capstanv1.LogicalNetwork, held []*hold) {
	var reason, example string
	var parts []string
	for _, of := range abandonedFor {
		var first *hold
		n := 0
		for _, h := range held {
			if h.reason != of.reason {
				continue
			}
			if n++; first == nil {
				first = h
			}
		}
		if first == nil {
			continue
		}
		if reason == "" {
			reason, example = of.condition, first.Name
		}
		parts = append(parts, fmt.Sprintf("%d, such as %s: %s", n, first.Spec.Address, first.message))
	}
	if reason == "" {
		conditions.True(network, capstanv1.NoneAbandonedCondition, capstanv1.ReasonNoneAbandoned, "whatever is held has a claim, a user or a Tombstone")
		return
	}
	conditions.False(network, capstanv1.NoneAbandonedCondition, reason,
		"held without a claim, for nobody who is known: %s; to free one by hand, when you know that nothing uses it: kubectl delete addressreservation %s",
		strings.Join(parts, "; "), example)
}
