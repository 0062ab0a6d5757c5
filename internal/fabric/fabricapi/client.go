package fabricapi

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
)

// ErrUnreachable is in the chain of every error that is not an answer: the
// socket is gone, the host is down, or the answer was lost.
var ErrUnreachable = errors.New("the fabric does not answer")

// StatusRefused is the HTTP status of a refusal.
const StatusRefused = http.StatusConflict

// UnixTransport returns a transport whose every request goes to a unix socket.
func UnixTransport(socket string) http.RoundTripper {
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		MaxIdleConnsPerHost: 8,
	}
}

// caller makes calls over a transport.
type caller struct {
	http http.Client
}

func (c *caller) call(ctx context.Context, op string, req, resp any) error {
	body, err := json.Marshal(req)
	if err != nil {
		return fmt.Errorf("%s: encode the request: %w", op, err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://fabric/"+op, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return unreachable(op, err)
	}
	defer func() { _ = answer.Body.Close() }()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return unreachable(op, err)
	}
	switch answer.StatusCode {
	case http.StatusOK:
		if err := json.Unmarshal(data, resp); err != nil {
			return unreachable(op, err)
		}
		return nil
	case StatusRefused:
		var refusal Refusal
		if err := json.Unmarshal(data, &refusal); err != nil {
			return unreachable(op, err)
		}
		return &refusal
	default:
		return fmt.Errorf("%s: the fabric answered %s", op, answer.Status)
	}
}

func unreachable(op string, err error) error {
	return fmt.Errorf("%s: %w: %w", op, ErrUnreachable, err)
}

func invoke[Resp any](ctx context.Context, c *caller, op string, req any) (Resp, error) {
	var resp Resp
	err := c.call(ctx, op, req, &resp)
	return resp, err
}
