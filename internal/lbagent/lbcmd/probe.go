package lbcmd

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
)

// probe succeeds if HAProxy answers in time.
func probe(ctx context.Context, socket, program string, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, 900*time.Millisecond)
	defer cancel()
	if err := haproxy.Ping(ctx, socket); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		return exitFailure
	}
	return exitOK
}
