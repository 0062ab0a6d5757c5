package lbcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/capstan-k8s/capstan/internal/cmdline"
	"github.com/capstan-k8s/capstan/internal/lbagent/engine"
	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
)

// patience is how long a probe waits for an HAProxy that does not answer. Where it was
// killed, whoever runs it starts it again, which costs clients less than a takeover;
// where it is slow because of its load, the load would follow the VIPs. keepalived ends
// probes that take a second longer.
var patience = haproxy.Patience{Absent: 2500 * time.Millisecond, Still: 800 * time.Millisecond, Slow: 15 * time.Second}

// probe succeeds if this VM may hold VIPs: HAProxy answers, and the network can be
// heard.
func probe(ctx context.Context, socket string, peers []string, program string, stderr io.Writer) int {
	err := haproxy.Await(ctx, socket, patience)
	if err == nil {
		err = hear(ctx, socket, peers)
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", program, err)
		return cmdline.Failure
	}
	return cmdline.OK
}

// errDeaf is for a VM that hears nobody.
var errDeaf = errors.New("neither another load-balancer VM nor any server is heard")

// hear fails where nobody at all is heard: neither a peer nor, at its last check, any
// server. What others hear of this VM does not count: VRRP cannot tell a holder who
// hears nothing from one who is well, and no peer would take over from it. Should all
// others be dead, there is nobody whom clients could be led to either. Who has no peers
// goes on in any case.
func hear(ctx context.Context, socket string, peers []string) error {
	if len(peers) == 0 || heard(ctx, peers) {
		return nil
	}
	// An HAProxy that has answered a moment ago and does not now is heard next time.
	if hears, err := haproxy.Hears(ctx, socket); err != nil || hears {
		return nil //nolint:nilerr // see above
	}
	return errDeaf
}

// heard tells whether any of the peers answers, be it by a refusal.
func heard(ctx context.Context, peers []string) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan bool, len(peers))
	for _, peer := range peers {
		go func() {
			heard, _ := engine.Answers(ctx, peer)
			answers <- heard
		}()
	}
	for range peers {
		if <-answers {
			return true
		}
	}
	return false
}
