package fabric

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// operation decodes its request and does the work.
type operation func(ctx context.Context, body []byte) (any, error)

func op[Req, Resp any](f func(context.Context, Req) (Resp, error)) operation {
	return func(ctx context.Context, body []byte) (any, error) {
		var req Req
		if err := json.Unmarshal(body, &req); err != nil {
			return nil, fabricapi.Refuse(fabricapi.InvalidParameter, "", "decode the request: %v", err)
		}
		return f(ctx, req)
	}
}

// Handler serves the calls of a host's own programs.
func (h *Host) Handler() http.Handler {
	return handler(h.guard, map[string]operation{
		"Host":        op(h.Host),
		"ListVMs":     op(h.ListVMs),
		"GetVM":       op(h.GetVM),
		"DefineVM":    op(h.DefineVM),
		"ModifyVM":    op(h.ModifyVM),
		"DestroyVM":   op(h.DestroyVM),
		"AttachDisk":  op(h.AttachDisk),
		"AddNIC":      op(h.AddNIC),
		"AttachISO":   op(h.AttachISO),
		"EjectISO":    op(h.EjectISO),
		"StartVM":     op(h.StartVM),
		"ShutDownVM":  op(h.ShutDownVM),
		"TurnOffVM":   op(h.TurnOffVM),
		"WaitVM":      op(h.WaitVM),
		"ListFiles":   op(h.ListFiles),
		"GetFile":     op(h.GetFile),
		"CreateDisk":  op(h.CreateDisk),
		"ResizeDisk":  op(h.ResizeDisk),
		"WriteISO":    op(h.WriteISO),
		"DeleteFile":  op(h.DeleteFile),
		"MoveFile":    op(h.MoveFile),
		"CopyImage":   op(h.CopyImage),
		"Checksum":    op(h.Checksum),
		"ListRoles":   op(h.ListRoles),
		"ClaimRole":   op(h.ClaimRole),
		"ReleaseRole": op(h.ReleaseRole),
	})
}

// Handler serves auditors, and the levers.
func (a *Admin) Handler() http.Handler {
	return handler(direct, map[string]operation{
		"World":           op(a.World),
		"Publish":         op(a.Publish),
		"Withdraw":        op(a.Withdraw),
		"HostDown":        op(a.HostDown),
		"HostUp":          op(a.HostUp),
		"RebootHost":      op(a.RebootHost),
		"FreezeHost":      op(a.FreezeHost),
		"IsolateHost":     op(a.IsolateHost),
		"UnplugHost":      op(a.UnplugHost),
		"SetVolumeFault":  op(a.SetVolumeFault),
		"FillVolume":      op(a.FillVolume),
		"RemoveVM":        op(a.RemoveVM),
		"PowerOffVM":      op(a.PowerOffVM),
		"MoveVM":          op(a.MoveVM),
		"SetGuest":        op(a.SetGuest),
		"AddFile":         op(a.AddFile),
		"RemoveFile":      op(a.RemoveFile),
		"AddVM":           op(a.AddVM),
		"Deeds":           op(a.Deeds),
		"Inject":          op(a.Inject),
		"EndInjection":    op(a.EndInjection),
		"ClearInjections": op(a.ClearInjections),
	})
}

// direct lets nothing befall a call.
func direct(_ context.Context, _ string, _ []byte, call func() (any, error)) (any, error) {
	return call()
}

type guard func(ctx context.Context, op string, body []byte, call func() (any, error)) (any, error)

func handler(guard guard, ops map[string]operation) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		name := strings.TrimPrefix(r.URL.Path, "/")
		do, ok := ops[name]
		if !ok || r.Method != http.MethodPost {
			http.NotFound(rw, r)
			return
		}
		// Only once the whole body is read does the server notice that the caller
		// has gone, and end the context.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out, err := guard(r.Context(), name, body, func() (any, error) { return do(r.Context(), body) })
		answer(rw, out, err)
	})
}

func answer(rw http.ResponseWriter, out any, err error) {
	var refusal *fabricapi.Refusal
	status := http.StatusOK
	switch {
	case errors.As(err, &refusal):
		status, out = fabricapi.StatusRefused, refusal
	case errors.Is(err, fabricapi.ErrUnreachable), errors.Is(err, context.Canceled):
		// No answer at all, as of a host with no power.
		panic(http.ErrAbortHandler)
	case err != nil:
		status, out = http.StatusInternalServerError, fabricapi.Refuse(fabricapi.Failed, "", "%v", err)
	}
	rw.Header().Set("Content-Type", "application/json")
	rw.WriteHeader(status)
	_ = json.NewEncoder(rw).Encode(out)
}
