//go:build windows

package wmicom

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/go-ole/go-ole"
	cim "github.com/microsoft/wmi/pkg/wmiinstance"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// workers is how many calls to one host are under way at once.
const workers = 4

// errClosed is what calls of a session that was closed get.
var errClosed = errors.New("the connection was closed")

// session is a wmi.Session. Its workers each have connections of their own.
type session struct {
	host, domain string
	requests     chan func(*connections)
	closed       chan struct{}
	close        sync.Once
}

func newSession(host, domain string) *session {
	s := &session{host: host, domain: domain, requests: make(chan func(*connections)), closed: make(chan struct{})}
	for range workers {
		go s.work()
	}
	return s
}

// Close implements wmi.Session.
func (s *session) Close() { s.close.Do(func() { close(s.closed) }) }

func (s *session) work() {
	// What COM is told of a thread stays with it, so the thread ends with the worker.
	runtime.LockOSThread()
	c := &connections{session: s, open: map[string]*cim.WmiSession{}}
	defer c.drop()
	for {
		select {
		case <-s.closed:
			return
		case run := <-s.requests:
			run(c)
		}
	}
}

// do runs a call on a worker.
func do[T any](ctx context.Context, s *session, doing, namespace string, call func(*cim.WmiSession) (T, error)) (T, error) {
	var none T
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	request := func(c *connections) {
		value, err := guarded(c, namespace, call)
		if err != nil {
			err = failure(doing, err)
		}
		if wmi.Disconnected(err) {
			c.drop()
		}
		answers <- answer{value, err}
	}
	select {
	case s.requests <- request:
	case <-s.closed:
		return none, &wmi.Error{Doing: doing, Code: wmi.CodeDisconnected, Err: errClosed}
	case <-ctx.Done():
		return none, fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		return none, fmt.Errorf("%s: %w", doing, ctx.Err())
	}
}

// guarded turns a panic into the loss of the worker's connections.
func guarded[T any](c *connections, namespace string, call func(*cim.WmiSession) (T, error)) (value T, err error) {
	defer func() {
		if p := recover(); p != nil {
			c.drop()
			err = &wmi.Error{Doing: "call COM", Code: wmi.CodeFailed, Err: fmt.Errorf("it panicked: %v", p)}
		}
	}()
	connected, err := c.to(namespace)
	if err != nil {
		return value, err
	}
	return call(connected)
}

// connections are a worker's, one to each namespace.
type connections struct {
	session *session
	locator *cim.WmiSessionManager
	open    map[string]*cim.WmiSession
}

func (c *connections) to(namespace string) (*cim.WmiSession, error) {
	if connected, ok := c.open[namespace]; ok {
		return connected, nil
	}
	if c.locator == nil {
		c.locator = cim.NewWmiSessionManager()
	}
	connected, err := c.locator.GetSession(namespace, c.session.host, c.session.domain, "", "")
	if err != nil {
		return nil, err
	}
	if _, err := connected.Connect(); err != nil {
		return nil, err
	}
	c.open[namespace] = connected
	return connected, nil
}

// drop ends the connections. Ending one that is broken may itself panic.
func (c *connections) drop() {
	for namespace, connected := range c.open {
		quietly(connected.Close)
		delete(c.open, namespace)
	}
	if c.locator != nil {
		quietly(c.locator.Dispose)
		c.locator = nil
	}
}

func quietly(f func()) {
	defer func() { _ = recover() }()
	f()
}

// failure makes an error of COM one of wmi. What went wrong in WMI stands inside of COM's own error.
func failure(doing string, err error) error {
	var typed *wmi.Error
	if errors.As(err, &typed) {
		return &wmi.Error{Doing: doing, Code: typed.Code, Err: err}
	}
	var com *ole.OleError
	if !errors.As(err, &com) {
		return &wmi.Error{Doing: doing, Code: wmi.CodeFailed, Err: err}
	}
	inner := uint32(0)
	var exception ole.EXCEPINFO
	if errors.As(com.SubError(), &exception) {
		inner = exception.SCODE()
	}
	return spoken(doing, codeOf(err), inner, com.Description())
}

// codeOf is COM's code in an error, codeOK for none.
func codeOf(err error) uint32 {
	var com *ole.OleError
	if errors.As(err, &com) {
		return uint32(com.Code())
	}
	return codeOK
}
