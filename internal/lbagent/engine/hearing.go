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

// Hearing tells whether anybody is at the address of a machine. An error tells nothing of
// that.
type Hearing func(ctx context.Context, address string) (heard bool, err error)

const (
	// hearTimeout is how long a peer may take to answer, who is on the same network.
	hearTimeout = 500 * time.Millisecond
	// liveTimeout is how long a machine may take to answer whose connections end if it
	// does not: one frame that is lost is sent again after a second.
	liveTimeout = 2 * time.Second
	// kubeletPort is one at which a node answers itself, whatever it forwards elsewhere.
	kubeletPort = 10250
)

// Answers hears a peer who answers where its agent listens, be it by a refusal: its kernel
// lives then, and may hold VIPs.
func Answers(ctx context.Context, address string) (heard bool, err error) {
	return answersAt(ctx, address, lbapi.Port, hearTimeout)
}

// Lives hears a node, a control-plane machine as well, that answers itself, be it by a
// refusal. That nothing is heard at a node port says less: what is at the other end of it
// is on another machine as often as not.
func Lives(ctx context.Context, address string) (heard bool, err error) {
	heard, err = answersAt(ctx, address, kubeletPort, liveTimeout)
	if errors.Is(err, syscall.ENETUNREACH) {
		return false, nil
	}
	return heard, err
}

func answersAt(ctx context.Context, address string, port int, timeout time.Duration) (heard bool, err error) {
	dialing, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(dialing, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	var late net.Error
	switch {
	case err == nil:
		_ = conn.Close()
		return true, nil
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return true, nil
	case ctx.Err() != nil:
		return false, ctx.Err()
	case errors.Is(err, syscall.EHOSTUNREACH), errors.As(err, &late) && late.Timeout():
		return false, nil
	}
	return false, err
}
