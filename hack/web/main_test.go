package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc/test/bufconn"

	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// ask asks on a connection of its own.
func ask(ctx context.Context, url string, dial func(ctx context.Context, network, address string) (net.Conn, error)) (string, error) {
	transport := &http.Transport{DialContext: dial, DisableKeepAlives: true}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return "", err
	}
	text, err := io.ReadAll(response.Body)
	return string(text), errors.Join(err, response.Body.Close())
}

func TestWhoeverAsksOnThePortLearnsTheNode(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, listener, answerOf(defaultService, "shop-linux-1"), 0) }()

	answer, err := ask(t.Context(), "http://"+listener.Addr().String(), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(narrator.NodeOf(answer)).To(Equal("shop-linux-1"))

	end()
	g.Eventually(ended).WithTimeout(time.Minute).Should(Receive(Not(HaveOccurred())))
	_, err = ask(t.Context(), "http://"+listener.Addr().String(), nil)
	g.Expect(err).To(HaveOccurred())
}

func TestTheAnswerOfAnotherServiceIsNotTakenForItsOwn(t *testing.T) {
	g := NewWithT(t)
	_, err := narrator.NodeOf(answerOf("default/other", "shop-linux-1"))
	g.Expect(err).To(MatchError(ContainSubstring("is no answer of Service web")))
}

func TestItAnswersForAWhileAfterItWasAskedToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		listener := bufconn.Listen(1 << 16)
		dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return listener.DialContext(ctx) }
		ctx, end := context.WithCancel(t.Context())
		const linger = 5 * time.Second
		began := time.Now()
		var lasted time.Duration
		var result error
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			result = serve(ctx, listener, "here\n", linger)
			lasted = time.Since(began)
		}()
		g.Expect(ask(t.Context(), "http://pod", dial)).To(Equal("here\n"))

		end()
		<-time.After(linger - time.Nanosecond)
		g.Expect(ask(t.Context(), "http://pod", dial)).To(Equal("here\n"), "who sends requests may not know yet")
		<-ended
		g.Expect(result).NotTo(HaveOccurred())
		g.Expect(lasted).To(BeNumerically("~", linger, time.Second))
		_, err := ask(t.Context(), "http://pod", dial)
		g.Expect(err).To(HaveOccurred())
	})
}
