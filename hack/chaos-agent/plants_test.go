package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// TestWhatIsPlantedIsDoneBesideWhatIsAsked looks at the calls that reach a host.
func TestWhatIsPlantedIsDoneBesideWhatIsAsked(t *testing.T) {
	namesakes := []fabricapi.VM{{GUID: "g1", Name: "a"}, {GUID: "g2", Name: "a"}, {GUID: "g3", Name: "b"}}
	for plant, c := range map[string]struct {
		ask     func(context.Context, *fabricapi.HostClient) error
		arrives []string
	}{
		"double": {func(ctx context.Context, h *fabricapi.HostClient) error {
			_, err := h.DefineVM(ctx, fabricapi.DefineVMRequest{Name: "a"})
			return err
		}, []string{"DefineVM a", "DefineVM a"}},
		"leak": {func(ctx context.Context, h *fabricapi.HostClient) error {
			return h.DeleteFile(ctx, fabricapi.FileRef{Volume: "v", Path: `x\boot.vhdx`})
		}, []string{`CreateDisk x\boot.vhdx.old`, `DeleteFile x\boot.vhdx`}},
		"unowned": {func(ctx context.Context, h *fabricapi.HostClient) error { return h.DestroyVM(ctx, "g1") },
			[]string{"GetVM g1", "ListVMs ", "DestroyVM g2", "DestroyVM g1"}},
	} {
		t.Run(plant, func(t *testing.T) {
			g := NewWithT(t)
			var arrived []string
			server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				var named struct{ Name, Path, GUID string }
				body, _ := io.ReadAll(r.Body)
				_ = json.Unmarshal(body, &named)
				op := strings.TrimPrefix(r.URL.Path, "/")
				arrived = append(arrived, op+" "+named.Name+named.Path+named.GUID)
				var answer any = namesakes[0]
				if op == "ListVMs" {
					answer = namesakes
				}
				_ = json.NewEncoder(rw).Encode(answer)
			}))
			defer server.Close()
			honest := toServer(server)
			planted := fabricapi.NewHostClient(plants[plant](way{honest, fabricapi.NewHostClient(honest)}))
			g.Expect(c.ask(t.Context(), planted)).To(Succeed())
			g.Expect(arrived).To(Equal(c.arrives))
		})
	}
}

// toServer leads all requests to one server.
func toServer(server *httptest.Server) http.RoundTripper {
	return trip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.URL.Host = strings.TrimPrefix(server.URL, "http://")
		return http.DefaultTransport.RoundTrip(r)
	})
}
