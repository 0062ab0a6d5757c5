package hyperv_test

import (
	"context"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// meddler lets something happen to a host between two calls of WMI.
type meddler struct {
	wmi.Dialer
	// before is called with the number of each call.
	before func(call int)
	calls  int
}

func (m *meddler) Dial(ctx context.Context, host string) (wmi.Session, error) {
	s, err := m.Dialer.Dial(ctx, host)
	return meddled{s, m}, err
}

func (m *meddler) call() {
	m.before(m.calls)
	m.calls++
}

// meddled is a session with somebody who meddles.
type meddled struct {
	wmi.Session
	by *meddler
}

func (s meddled) Query(ctx context.Context, query wmi.Query) ([]wmi.Instance, error) {
	s.by.call()
	return s.Session.Query(ctx, query)
}

func (s meddled) Get(ctx context.Context, path string, properties ...string) (wmi.Instance, error) {
	s.by.call()
	return s.Session.Get(ctx, path, properties...)
}

func (s meddled) Related(ctx context.Context, path string, to wmi.Association) ([]wmi.Instance, error) {
	s.by.call()
	return s.Session.Related(ctx, path, to)
}

func (s meddled) Text(ctx context.Context, draft wmi.Draft) (string, error) {
	s.by.call()
	return s.Session.Text(ctx, draft)
}

func (s meddled) Put(ctx context.Context, path string, set wmi.Values) error {
	s.by.call()
	return s.Session.Put(ctx, path, set)
}

func (s meddled) Call(ctx context.Context, path, method string, in wmi.Values, out ...string) (wmi.Values, error) {
	s.by.call()
	return s.Session.Call(ctx, path, method, in, out...)
}

// meddle opens the driver of a host again, with somebody who does something before the n-th call from now on.
func (h *host) meddle(n int, do func()) *meddler {
	m := &meddler{Dialer: h.client, before: func(int) {}}
	driver, err := hyperv.New(h.t.Context(), hyperv.Options{
		Host: "HV1", StateDir: h.stateDir, Volumes: h.volumes, WMI: m, Files: h.client.Files(), Sources: h, Pause: h.pause, Piece: 256,
	})
	h.g.Expect(err).NotTo(HaveOccurred())
	m.calls, h.driver = 0, driver
	m.before = func(call int) {
		if call == n {
			do()
		}
	}
	return m
}
