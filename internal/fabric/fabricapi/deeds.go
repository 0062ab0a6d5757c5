package fabricapi

import (
	"context"
	"time"
)

// Deed is what a host was told to do that takes something away: power, a VM, a file,
// a role. What people do by hand is none.
type Deed struct {
	// Number is one more than that of the deed before.
	Number int       `json:"number"`
	At     time.Time `json:"at"`
	// Host is the one that was told, Op the call.
	Host string `json:"host"`
	Op   string `json:"op"`
	// Object is what it was done to; Name is what people call a VM.
	Object string `json:"object"`
	Name   string `json:"name,omitempty"`
	// Stamp is whose it was.
	Stamp *Stamp `json:"stamp,omitempty"`
	// Electorate is set where the deed took a running vote from a cluster of etcd. It
	// is as it was before.
	Electorate *Electorate `json:"electorate,omitempty"`
}

// Electorate is a cluster of etcd, seen from a member that runs and has a vote.
type Electorate struct {
	Cluster string `json:"cluster"`
	Voting  int    `json:"voting"`
	Running int    `json:"running"`
}

// DeedsRequest asks for what came after a deed.
type DeedsRequest struct {
	After int `json:"after"`
}

// Deeds returns what hosts were told to take away since a deed, by its number.
func (c *AdminClient) Deeds(ctx context.Context, after int) ([]Deed, error) {
	return invoke[[]Deed](ctx, &c.caller, "Deeds", DeedsRequest{After: after})
}
