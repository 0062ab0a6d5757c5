package engine

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Hearing tells whether anybody is at the address of a peer. An error tells nothing of
// that.
type Hearing func(ctx context.Context, address string) (heard bool, err error)

// hearTimeout is how long a peer may take to answer, who is on the same network.
const hearTimeout = 500 * time.Millisecond

// Answers hears a peer who answers where its agent listens, be it by a refusal: its kernel
// lives then, and may hold VIPs.
func Answers(ctx context.Context, address string) (heard bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, hearTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(lbapi.Port)))
	var late net.Error
	switch {
	case err == nil:
		_ = conn.Close()
		return true, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return true, nil
	case errors.Is(err, syscall.EHOSTUNREACH), errors.As(err, &late) && late.Timeout():
		return false, nil
	}
	return false, err
}
