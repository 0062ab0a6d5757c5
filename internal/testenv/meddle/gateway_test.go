package meddle_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"github.com/capstan-k8s/capstan/internal/testenv/meddle"
)

const object = "/apis/capstan.dev/v1alpha1/namespaces/default/virtualmachines/one"

// site is an API server that counts what it is told to write.
type site struct {
	*meddle.Gateway
	*WithT
	written atomic.Int32
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{WithT: NewWithT(t)}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			s.written.Add(1)
		}
		rw.Header().Set("X-Path", r.URL.Path)
		rw.WriteHeader(http.StatusCreated)
		_, _ = rw.Write([]byte("as you wish"))
	}))
	t.Cleanup(server.Close)
	var err error
	s.Gateway, err = meddle.NewGateway(t.Context(), func() (*rest.Config, error) { return &rest.Config{Host: server.URL}, nil })
	s.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { s.Expect(s.Close()).To(Succeed()) })
	return s
}

func (s *site) do(method, path string) (status int, body string, err error) {
	request, err := http.NewRequest(method, s.URL()+path, strings.NewReader("{}"))
	s.Expect(err).NotTo(HaveOccurred())
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func (s *site) plan(m meddle.Mishap) *meddle.Planned {
	return s.Plan(meddle.Planned{Mishap: m, Times: 1, Groups: []string{"capstan.dev"}, Late: 50 * time.Millisecond})
}

func (s *site) passes(method, path string) {
	status, body, err := s.do(method, path)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(status).To(Equal(http.StatusCreated))
	s.Expect(body).To(Equal("as you wish"))
}

func TestAnUpdateIsRefusedOnce(t *testing.T) {
	s := newSite(t)
	p := s.plan(meddle.Conflict)
	s.passes(http.MethodGet, object)
	s.passes(http.MethodPost, object)
	s.passes(http.MethodPut, "/apis/coordination.k8s.io/v1/namespaces/default/leases/one")
	s.passes(http.MethodPut, "/api/v1/namespaces/default/secrets/one")
	before := s.written.Load()
	status, body, err := s.do(http.MethodPatch, object)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(status).To(Equal(http.StatusConflict))
	s.Expect(body).To(ContainSubstring(`"reason":"Conflict"`))
	s.Expect(s.written.Load()).To(Equal(before), "it was not carried out")
	s.passes(http.MethodPatch, object)
	s.Expect(s.End(p)).To(Equal(1))
}

func TestAWriteIsDoneAndItsAnswerLost(t *testing.T) {
	s := newSite(t)
	p := s.plan(meddle.AnswerLost)
	_, _, err := s.do(http.MethodPost, object)
	s.Expect(err).To(HaveOccurred())
	s.Expect(s.written.Load()).To(BeEquivalentTo(1))
	s.passes(http.MethodPost, object)
	s.Expect(s.End(p)).To(Equal(1))
}

func TestAWriteIsDoneAndAnsweredLate(t *testing.T) {
	s := newSite(t)
	p := s.plan(meddle.AnswerLate)
	asked := time.Now()
	s.passes(http.MethodDelete, object)
	s.Expect(time.Since(asked)).To(BeNumerically(">=", 50*time.Millisecond))
	s.Expect(s.End(p)).To(Equal(1))
	s.passes(http.MethodDelete, object)
	s.Expect(s.End(p)).To(Equal(1), "it had ended")
}
