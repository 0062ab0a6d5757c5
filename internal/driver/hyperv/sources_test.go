package hyperv_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestSourcesAreReadFromWhereACopyEnds(t *testing.T) {
	content := []byte("0123456789")
	ranges := func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "image", time.Time{}, bytes.NewReader(content))
	}
	whole := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write(content)
	}
	for name, test := range map[string]struct {
		serve  http.HandlerFunc
		offset int64
		want   string
	}{
		"from the beginning":                {ranges, 0, "0123456789"},
		"from the middle":                   {ranges, 4, "456789"},
		"from the end":                      {ranges, 10, ""},
		"beyond the end":                    {ranges, 20, ""},
		"of a server that knows no ranges":  {whole, 4, "456789"},
		"beyond the end of such a server's": {whole, 20, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := httptest.NewTLSServer(test.serve)
			t.Cleanup(server.Close)
			got, total, err := hyperv.NetworkSources{Client: server.Client()}.Open(t.Context(), server.URL+"/image", test.offset)
			g.Expect(err).NotTo(HaveOccurred())
			text, err := io.ReadAll(got)
			g.Expect(errors.Join(err, got.Close())).To(Succeed())
			g.Expect(string(text)).To(Equal(test.want))
			g.Expect(total).To(Equal(int64(10)))
		})
	}
}

func TestSourcesThatCannotBeRead(t *testing.T) {
	answer := func(status int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		}
	}
	for name, test := range map[string]struct {
		source string
		serve  http.HandlerFunc
		want   func(error) bool
	}{
		"not there":           {"", answer(http.StatusNotFound), func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		"gone":                {"", answer(http.StatusGone), func(err error) bool { return errors.Is(err, fs.ErrNotExist) }},
		"a server that fails": {"", answer(http.StatusBadGateway), func(err error) bool { return !errors.Is(err, fs.ErrNotExist) }},
		"another range":       {"", answer(http.StatusPartialContent, "Content-Range", "bytes 0-9/10"), func(err error) bool { return err != nil }},
		"no range":            {"", answer(http.StatusPartialContent, "Content-Range", "all"), func(err error) bool { return err != nil }},
		"not encrypted":       {"http://there/image", nil, func(err error) bool { return hostapi.Is(err, hostapi.InvalidArgument) }},
		"a file of the host":  {`C:\Windows\image`, nil, func(err error) bool { return hostapi.Is(err, hostapi.InvalidArgument) }},
		"a device":            {`\\.\PhysicalDrive0`, nil, func(err error) bool { return hostapi.Is(err, hostapi.InvalidArgument) }},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			sources := hyperv.NetworkSources{Client: http.DefaultClient}
			if test.serve != nil {
				server := httptest.NewTLSServer(test.serve)
				t.Cleanup(server.Close)
				test.source, sources.Client = server.URL, server.Client()
			}
			_, _, err := sources.Open(t.Context(), test.source, 4)
			g.Expect(err).To(Satisfy(test.want))
		})
	}
}
