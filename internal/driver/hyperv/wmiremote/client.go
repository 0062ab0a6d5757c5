package wmiremote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// Client is a host that another process has.
type Client struct{ http http.Client }

var _ wmi.Dialer = (*Client)(nil)

// New returns the host that a transport reaches, whatever the address.
func New(transport http.RoundTripper) *Client { return &Client{http.Client{Transport: transport}} }

// errSilent is in every error that is not an answer.
var errSilent = errors.New("the host does not answer")

// ask makes a call. The second error is that there was no answer.
func ask[T any](ctx context.Context, c *Client, call string, request any) (value T, failed, silent error) {
	body, err := encode(request)
	if err != nil {
		return value, err, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://host/"+call, bytes.NewReader(body))
	if err != nil {
		return value, err, nil
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return value, nil, fmt.Errorf("%w: %w", errSilent, err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return value, nil, fmt.Errorf("%w: %w", errSilent, err)
	}
	if answer.StatusCode != http.StatusOK {
		return value, nil, fmt.Errorf("%w: %s to %s", errSilent, answer.Status, call)
	}
	var out response[T]
	if err := decode(data, &out); err != nil {
		return value, nil, fmt.Errorf("%w: %w", errSilent, err)
	}
	return out.Value, out.Failure.unpack(), nil
}

// Dial implements wmi.Dialer. Whether the node is there shows with the first call.
func (c *Client) Dial(ctx context.Context, node string) (wmi.Session, error) {
	return &session{c, node}, ctx.Err()
}

// session is a connection to a node.
type session struct {
	client *Client
	node   string
}

// Close implements wmi.Session.
func (s *session) Close() {}

// of makes a call of WMI's.
func of[T any](ctx context.Context, s *session, call string, request any) (T, error) {
	value, failed, silent := ask[T](ctx, s.client, call, request)
	switch {
	case failed != nil:
		return value, failed
	case silent == nil:
		return value, nil
	case ctx.Err() != nil:
		return value, fmt.Errorf("%s: %w", call, ctx.Err())
	default:
		return value, &wmi.Error{Doing: call, Code: wmi.CodeServerUnavailable, Err: silent}
	}
}

// Query implements wmi.Session.
func (s *session) Query(ctx context.Context, query wmi.Query) ([]wmi.Instance, error) {
	return of[[]wmi.Instance](ctx, s, callQuery, queryRequest{s.node, query})
}

// Get implements wmi.Session.
func (s *session) Get(ctx context.Context, path string, properties ...string) (wmi.Instance, error) {
	return of[wmi.Instance](ctx, s, callGet, getRequest{s.node, path, properties})
}

// Related implements wmi.Session.
func (s *session) Related(ctx context.Context, path string, association wmi.Association) ([]wmi.Instance, error) {
	return of[[]wmi.Instance](ctx, s, callRelated, relatedRequest{s.node, path, association})
}

// Text implements wmi.Session.
func (s *session) Text(ctx context.Context, draft wmi.Draft) (string, error) {
	return of[string](ctx, s, callText, textRequest{s.node, draft})
}

// Put implements wmi.Session.
func (s *session) Put(ctx context.Context, path string, set wmi.Values) error {
	_, err := of[none](ctx, s, callPut, putRequest{s.node, path, set})
	return err
}

// Call implements wmi.Session.
func (s *session) Call(ctx context.Context, path, method string, in wmi.Values, out ...string) (wmi.Values, error) {
	return of[wmi.Values](ctx, s, callCall, callRequest{s.node, path, method, in, out})
}
