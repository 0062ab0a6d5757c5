package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// way is a driver's way to its host.
type way struct {
	http.RoundTripper
	host *fabricapi.HostClient
}

// plants are what can be planted on it, by name.
var plants = map[string]func(way) http.RoundTripper{
	"double":  func(w way) http.RoundTripper { return trip(w.double) },
	"leak":    func(w way) http.RoundTripper { return trip(w.leak) },
	"unowned": func(w way) http.RoundTripper { return trip(w.unowned) },
}

type trip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (t trip) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// double makes each VM twice, as a client does that tries again without looking.
func (w way) double(r *http.Request) (*http.Response, error) {
	if body, ok := calls(r, "DefineVM"); ok {
		var req fabricapi.DefineVMRequest
		if err := json.Unmarshal(body, &req); err == nil {
			_, _ = w.host.DefineVM(r.Context(), req)
		}
	}
	return w.RoundTripper.RoundTrip(r)
}

// leak leaves a disk behind for each that it deletes, as one does that keeps what it
// takes for a backup.
func (w way) leak(r *http.Request) (*http.Response, error) {
	if body, ok := calls(r, "DeleteFile"); ok {
		var disk fabricapi.FileRef
		if err := json.Unmarshal(body, &disk); err == nil && strings.HasSuffix(disk.Path, ".vhdx") {
			backup := fabricapi.FileRef{Volume: disk.Volume, Path: disk.Path + ".old"}
			_, _ = w.host.CreateDisk(r.Context(), fabricapi.CreateDiskRequest{FileRef: backup, Bytes: 1 << 30})
		}
	}
	return w.RoundTripper.RoundTrip(r)
}

// unowned removes, with each VM, all others of its name, whose ever they are.
func (w way) unowned(r *http.Request) (*http.Response, error) {
	if body, ok := calls(r, "DestroyVM"); ok {
		var vm fabricapi.VMRef
		if err := json.Unmarshal(body, &vm); err == nil {
			w.removeNamesakes(r.Context(), vm.GUID)
		}
	}
	return w.RoundTripper.RoundTrip(r)
}

func (w way) removeNamesakes(ctx context.Context, guid string) {
	vm, err := w.host.GetVM(ctx, guid)
	if err != nil {
		return
	}
	all, err := w.host.ListVMs(ctx, "")
	if err != nil {
		return
	}
	for _, other := range all {
		if other.Name == vm.Name && other.GUID != guid {
			_ = w.host.DestroyVM(ctx, other.GUID)
		}
	}
}

// calls returns what a call says, and whether it is the one that is meant.
func calls(r *http.Request, op string) ([]byte, bool) {
	if path.Base(r.URL.Path) != op {
		return nil, false
	}
	body, err := io.ReadAll(r.Body)
	r.Body = io.NopCloser(bytes.NewReader(body))
	return body, err == nil
}
