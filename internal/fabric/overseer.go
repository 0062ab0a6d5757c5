package fabric

import (
	"context"
	"net/http"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// Overseer is a world of hosts that are not this package's, as auditors see it and with
// the levers that it has.
type Overseer interface {
	World(ctx context.Context, req fabricapi.None) (fabricapi.World, error)
	HostDown(ctx context.Context, req fabricapi.HostRef) (fabricapi.None, error)
	HostUp(ctx context.Context, req fabricapi.HostRef) (fabricapi.None, error)
	IsolateHost(ctx context.Context, req fabricapi.SetHostRequest) (fabricapi.None, error)
}

// OverseerHandler serves such a world on its admin socket. Levers that it lacks are not
// found there.
func OverseerHandler(o Overseer) http.Handler {
	return handler(direct, map[string]operation{
		"World":       op(o.World),
		"HostDown":    op(o.HostDown),
		"HostUp":      op(o.HostUp),
		"IsolateHost": op(o.IsolateHost),
	})
}
