package wmiremote_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmiremote"
)

// echo is a node that answers with what it is asked, and fails as it is told.
type echo struct {
	wmi.Session
	node   string
	closed *int
	fails  error
}

func (e echo) Dial(_ context.Context, node string) (wmi.Session, error) {
	e.node = node
	return e, nil
}

func (e echo) Close() { *e.closed++ }

func (e echo) Query(_ context.Context, q wmi.Query) ([]wmi.Instance, error) {
	return []wmi.Instance{{Path: e.node + ":" + q.Namespace, Class: q.Class, Values: q.Where}, {}}, e.fails
}

func (e echo) Get(_ context.Context, path string, properties ...string) (wmi.Instance, error) {
	return wmi.Instance{Path: path, Class: strings.Join(properties, ",")}, e.fails
}

func (e echo) Related(_ context.Context, path string, a wmi.Association) ([]wmi.Instance, error) {
	return []wmi.Instance{{Path: path, Class: fmt.Sprint(a)}}, e.fails
}

func (e echo) Text(_ context.Context, d wmi.Draft) (string, error) { return fmt.Sprint(d), e.fails }

func (e echo) Put(_ context.Context, _ string, _ wmi.Values) error { return e.fails }

func (e echo) Call(_ context.Context, path, method string, in wmi.Values, out ...string) (wmi.Values, error) {
	answer := wmi.Values{wmi.ReturnValue: int32(4096), "of": path + " " + method + " " + strings.Join(out, ",")}
	for name, value := range in {
		answer[name] = value
	}
	return answer, e.fails
}

// connection leads wherever the server is.
type connection struct {
	http.RoundTripper
	server *url.URL
}

func (c connection) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Host, r.URL.Scheme = c.server.Host, c.server.Scheme
	return c.RoundTripper.RoundTrip(r)
}

func serve(t *testing.T, host wmiremote.Host) (*wmiremote.Client, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(wmiremote.Handler(host))
	t.Cleanup(server.Close)
	at, err := url.Parse(server.URL)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return wmiremote.New(connection{server.Client().Transport, at}), server
}

func TestCallsAndValuesArriveAsTheyWereGiven(t *testing.T) {
	g := NewWithT(t)
	closed := 0
	client, _ := serve(t, wmiremote.Host{WMI: echo{closed: &closed}})
	s, err := client.Dial(t.Context(), "HV2")
	g.Expect(err).NotTo(HaveOccurred())

	values := wmi.Values{
		"none": nil, "bool": true, "text": "a\x00ä", "int": 7, "int16": int16(-1), "int32": int32(-2), "uint8": uint8(3), "uint32": uint32(1 << 31),
		"texts": []string{"a", ""}, "list": []any{"a", nil, int32(1), uint8(2), true},
	}
	g.Expect(s.Query(t.Context(), wmi.Query{Namespace: wmi.CIMv2, Class: "A", Where: values})).To(Equal(
		[]wmi.Instance{{Path: `HV2:root\cimv2`, Class: "A", Values: values}, {}}))
	g.Expect(s.Get(t.Context(), "p", "a", "b")).To(Equal(wmi.Instance{Path: "p", Class: "a,b"}))
	g.Expect(s.Related(t.Context(), "p", wmi.Association{Through: "T", Class: "C", Properties: []string{"a"}})).To(Equal(
		[]wmi.Instance{{Path: "p", Class: "{T C [a]}"}}))
	g.Expect(s.Text(t.Context(), wmi.Draft{Namespace: "n", Class: "c", Of: "o", Set: wmi.Values{"a": "b"}})).To(Equal("{n c o map[a:b]}"))
	g.Expect(s.Put(t.Context(), "p", values)).To(Succeed())
	answer, err := s.Call(t.Context(), "p", "Do", values, "Job")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(answer).To(HaveKeyWithValue(wmi.ReturnValue, int32(4096)))
	g.Expect(answer).To(HaveKeyWithValue("of", "p Do Job"))
	for name, value := range values {
		if value == nil {
			g.Expect(answer).To(HaveKeyWithValue(name, BeNil()))
			continue
		}
		g.Expect(answer).To(HaveKeyWithValue(name, Equal(value)))
	}
	g.Expect(closed).To(Equal(6), "each call had a connection of its own")
}

func TestFailuresArriveAsWhatTheyAre(t *testing.T) {
	for name, fails := range map[string]error{
		"with a cause":    &wmi.Error{Doing: "do it", Code: wmi.CodeAccessDenied, Err: errors.New("no")},
		"with none":       &wmi.Error{Doing: "do it", Code: wmi.CodeNotFound},
		"of no service":   errors.New("killed"),
		"of the context":  fmt.Errorf("do it: %w", context.DeadlineExceeded),
		"of both, nested": &wmi.Error{Doing: "do it", Code: wmi.CodeFailed, Err: fmt.Errorf("late: %w", context.Canceled)},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			client, _ := serve(t, wmiremote.Host{WMI: echo{closed: new(int), fails: fails}})
			s, err := client.Dial(t.Context(), "")
			g.Expect(err).NotTo(HaveOccurred())
			err = s.Put(t.Context(), "p", nil)
			g.Expect(err).To(MatchError(fails.Error()))
			g.Expect(wmi.CodeOf(err)).To(Equal(wmi.CodeOf(fails)))
			for _, is := range []error{context.Canceled, context.DeadlineExceeded} {
				g.Expect(errors.Is(err, is)).To(Equal(errors.Is(fails, is)))
			}
			for _, err := range calls(t, s) {
				g.Expect(err).To(MatchError(fails.Error()))
			}
		})
	}
}

// calls makes every call but Put.
func calls(t *testing.T, s wmi.Session) []error {
	t.Helper()
	_, query := s.Query(t.Context(), wmi.Query{})
	_, get := s.Get(t.Context(), "")
	_, related := s.Related(t.Context(), "", wmi.Association{})
	_, text := s.Text(t.Context(), wmi.Draft{})
	_, call := s.Call(t.Context(), "", "", nil)
	return []error{query, get, related, text, call}
}

func TestSilenceIsAHostThatCannotBeReached(t *testing.T) {
	g := NewWithT(t)
	client, server := serve(t, wmiremote.Host{})
	s, err := client.Dial(t.Context(), "")
	g.Expect(err).NotTo(HaveOccurred())
	server.Close()
	for _, err := range append(calls(t, s), s.Put(t.Context(), "", nil)) {
		g.Expect(wmi.Disconnected(err)).To(BeTrue(), "%v", err)
	}
	_, err = client.Files().Read(`C:\a`)
	g.Expect(err).To(MatchError(hostfs.ErrUnavailable))
	_, _, err = client.Sources().Open(t.Context(), "a", 0)
	g.Expect(err).To(HaveOccurred())
	g.Expect(err).NotTo(MatchError(fs.ErrNotExist))

	ended, end := context.WithCancel(t.Context())
	end()
	_, err = s.Get(ended, "")
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(wmi.CodeOf(err)).To(BeZero())
}

type shelf string

func (s shelf) Open(_ context.Context, source string, offset int64) (io.ReadCloser, int64, error) {
	if source != "there" {
		return nil, 0, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(string(s[offset:]))), int64(len(s)), nil
}

func TestFilesAndSourcesAreThoseOfTheHost(t *testing.T) {
	g := NewWithT(t)
	const folder = `C:\ClusterStorage\v1\a`
	world := wmifake.New(t, wmifake.Options{
		Nodes: []string{"HV1"}, Cluster: "fc1", Volumes: []string{`C:\ClusterStorage\v1`}, VolumeBytes: 1 << 30, Processors: 4, MemoryMiB: 4096,
	})
	files := world.Client("HV1").Files()
	client, _ := serve(t, wmiremote.Host{Files: files, Sources: shelf("an image")})
	there := client.Files()

	_, err := there.Stat(folder)
	g.Expect(err).To(MatchError(fs.ErrNotExist))
	g.Expect(there.MakeFolder(folder)).To(Succeed())
	g.Expect(there.Write(folder+`\record`, []byte("1"))).To(Succeed())
	g.Expect(there.Append(folder+`\copy`, 0, []byte("ab"))).To(Succeed())
	g.Expect(there.Append(folder+`\copy`, 2, []byte("c"))).To(Succeed())
	g.Expect(there.Protect(folder + `\copy`)).To(Succeed())
	g.Expect(there.List(folder)).To(Equal([]hostfs.Entry{{Name: "copy", Bytes: 3, ReadOnly: true}, {Name: "record", Bytes: 1}}))
	g.Expect(there.Rename(folder+`\copy`, folder+`\record`)).To(MatchError(fs.ErrExist))
	g.Expect(there.Rename(folder+`\copy`, folder+`\image`)).To(Succeed())
	g.Expect(there.Read(folder + `\record`)).To(Equal([]byte("1")))
	content, err := there.Open(folder + `\image`)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(io.ReadAll(content)).To(Equal([]byte("abc")))
	g.Expect(there.Remove(folder + `\record`)).To(Succeed())
	g.Expect(files.List(folder)).To(HaveLen(1), "the host sees the same")

	world.FillVolume(`C:\ClusterStorage\v1`, 0)
	g.Expect(there.Write(folder+`\more`, []byte("1"))).To(MatchError(hostfs.ErrFull))
	world.FaultVolume(`C:\ClusterStorage\v1`, true)
	_, err = there.Open(folder + `\image`)
	g.Expect(err).To(MatchError(hostfs.ErrUnavailable))

	image, total, err := client.Sources().Open(t.Context(), "there", 3)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(total).To(Equal(int64(8)))
	g.Expect(io.ReadAll(image)).To(Equal([]byte("image")))
	_, _, err = client.Sources().Open(t.Context(), "elsewhere", 0)
	g.Expect(err).To(MatchError(fs.ErrNotExist))
}
