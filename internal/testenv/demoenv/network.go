package demoenv

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// ClaimNetwork returns the beginning of the addresses of a /16 of loopback, such as
// "127.65.", that no other environment on this machine uses until it is released. That
// of the samples is never given.
func ClaimNetwork(ctx context.Context) (beginning string, release func() error, err error) {
	for second := 65; second < 127; second++ {
		// Guests have every address but the gateway's.
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.%d.0.1:6443", second))
		if err == nil {
			return fmt.Sprintf("127.%d.", second), listener.Close, nil
		}
	}
	return "", nil, errors.New("all networks of loopback are taken")
}
