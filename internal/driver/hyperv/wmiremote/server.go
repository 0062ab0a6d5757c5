package wmiremote

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// Host is what is served.
type Host struct {
	WMI     wmi.Dialer
	Files   hostfs.Files
	Sources Sources
}

// operation decodes its request, does the work, and encodes the response.
type operation func(ctx context.Context, body []byte) ([]byte, error)

func op[Request, Value any](do func(context.Context, Request) (Value, error)) operation {
	return func(ctx context.Context, body []byte) ([]byte, error) {
		var request Request
		if err := decode(body, &request); err != nil {
			return nil, err
		}
		value, err := do(ctx, request)
		return encode(response[Value]{value, pack(err)})
	}
}

// Handler serves a host to a Client.
func Handler(h Host) http.Handler {
	f := h.Files
	operations := map[string]operation{
		callQuery: op(func(ctx context.Context, r queryRequest) ([]wmi.Instance, error) {
			return on(ctx, h, r.Node, func(s wmi.Session) ([]wmi.Instance, error) { return s.Query(ctx, r.Query) })
		}),
		callGet: op(func(ctx context.Context, r getRequest) (wmi.Instance, error) {
			return on(ctx, h, r.Node, func(s wmi.Session) (wmi.Instance, error) { return s.Get(ctx, r.Path, r.Properties...) })
		}),
		callRelated: op(func(ctx context.Context, r relatedRequest) ([]wmi.Instance, error) {
			return on(ctx, h, r.Node, func(s wmi.Session) ([]wmi.Instance, error) { return s.Related(ctx, r.Path, r.Association) })
		}),
		callText: op(func(ctx context.Context, r textRequest) (string, error) {
			return on(ctx, h, r.Node, func(s wmi.Session) (string, error) { return s.Text(ctx, r.Draft) })
		}),
		callPut: op(func(ctx context.Context, r putRequest) (none, error) {
			return on(ctx, h, r.Node, func(s wmi.Session) (none, error) { return none{}, s.Put(ctx, r.Path, r.Set) })
		}),
		callCall: op(func(ctx context.Context, r callRequest) (wmi.Values, error) {
			return on(ctx, h, r.Node, func(s wmi.Session) (wmi.Values, error) { return s.Call(ctx, r.Path, r.Method, r.In, r.Out...) })
		}),
		callStat:       file(func(r fileRequest) (hostfs.Entry, error) { return f.Stat(r.Path) }),
		callList:       file(func(r fileRequest) ([]hostfs.Entry, error) { return f.List(r.Path) }),
		callRead:       file(func(r fileRequest) ([]byte, error) { return f.Read(r.Path) }),
		callOpen:       file(func(r fileRequest) ([]byte, error) { return open(f, r.Path) }),
		callWrite:      file(func(r fileRequest) (none, error) { return none{}, f.Write(r.Path, r.Content) }),
		callAppend:     file(func(r fileRequest) (none, error) { return none{}, f.Append(r.Path, r.Offset, r.Content) }),
		callMakeFolder: file(func(r fileRequest) (none, error) { return none{}, f.MakeFolder(r.Path) }),
		callRename:     file(func(r fileRequest) (none, error) { return none{}, f.Rename(r.Path, r.To) }),
		callProtect:    file(func(r fileRequest) (none, error) { return none{}, f.Protect(r.Path) }),
		callRemove:     file(func(r fileRequest) (none, error) { return none{}, f.Remove(r.Path) }),
		callSource: op(func(ctx context.Context, r sourceRequest) (sourceResponse, error) {
			content, total, err := h.Sources.Open(ctx, r.Source, r.Offset)
			if err != nil {
				return sourceResponse{}, err
			}
			all, err := readAll(content)
			return sourceResponse{all, total}, err
		}),
	}
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		do, ok := operations[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok || r.Method != http.MethodPost {
			http.NotFound(rw, r)
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		out, err := do(r.Context(), body)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusBadRequest)
			return
		}
		_, _ = rw.Write(out) // who has gone needs no answer
	})
}

func on[Value any](ctx context.Context, h Host, node string, do func(wmi.Session) (Value, error)) (Value, error) {
	s, err := h.WMI.Dial(ctx, node)
	if err != nil {
		var nothing Value
		return nothing, err
	}
	defer s.Close()
	return do(s)
}

func file[Value any](do func(fileRequest) (Value, error)) operation {
	return op(func(_ context.Context, r fileRequest) (Value, error) { return do(r) })
}

func open(files hostfs.Files, path string) ([]byte, error) {
	content, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	return readAll(content)
}

func readAll(content io.ReadCloser) ([]byte, error) {
	all, err := io.ReadAll(content)
	return all, errors.Join(err, content.Close())
}
