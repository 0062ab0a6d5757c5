package lbcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/cmdline"
	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
)

// probePatience is how long a probe waits for an HAProxy that is there. keepalived ends
// probes that take a second longer.
const probePatience = 5 * time.Second

// probe succeeds if HAProxy answers. It fails at once where nobody listens, and waits
// where somebody does: that HAProxy is slow does not mean that it is dead.
func probe(ctx context.Context, socket, program string, patience time.Duration, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := haproxy.Ping(ctx, socket)
		if err == nil {
			return cmdline.OK
		}
		// A socket whose queue is full takes nobody for a moment; somebody is there.
		full := errors.Is(err, syscall.EAGAIN)
		if !full || !daemon.Pause(ctx) {
			fmt.Fprintf(stderr, "%s: %v\n", program, err)
			return cmdline.Failure
		}
	}
}
