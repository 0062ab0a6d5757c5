package capi

import "sigs.k8s.io/controller-runtime/pkg/client"

// NewJoinedStatus lets specs say which round of a reconciler a context is of.
var NewJoinedStatus = newJoinedStatus

// RoundsOf tells how many rounds of a client of NewJoinedStatus have not ended.
func RoundsOf(c client.Client) int {
	joined := c.(*joinedStatus)
	joined.mu.Lock()
	defer joined.mu.Unlock()
	return len(joined.rounds)
}
