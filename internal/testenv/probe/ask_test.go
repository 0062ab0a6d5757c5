package probe

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
)

func TestAWebServerIsAskedAndItsAnswersAreJudged(t *testing.T) {
	g := NewWithT(t)
	var answer atomic.Pointer[string]
	say := func(text string) { answer.Store(&text) }
	say("mine")
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if text := *answer.Load(); text != "" {
			_, _ = io.WriteString(w, text)
			return
		}
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer server.Close()
	p, err := Start(t.Context(), Options{URL: server.URL, Interval: interval, Judge: func(answer string) error {
		if answer != "mine" {
			return errors.New("somebody else answers")
		}
		return nil
	}})
	g.Expect(err).NotTo(HaveOccurred())
	defer p.Stop()
	failed := func() int { return p.Report().Failed }
	g.Eventually(p.requests).WithTimeout(patience).Should(BeNumerically(">", 10))
	g.Expect(failed()).To(BeZero())

	say("theirs")
	g.Eventually(failed).WithTimeout(patience).Should(BeNumerically(">", 2))
	g.Expect(p.Report().CheckNone()).To(MatchError(ContainSubstring("somebody else answers")))

	say("")
	before := failed()
	g.Eventually(failed).WithTimeout(patience).Should(BeNumerically(">", before+2))
}
