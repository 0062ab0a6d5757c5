package main

import (
	"context"
	"fmt"
	"net"
)

// gateway is that of the network in config/samples. No guest has it.
const gateway = "127.64.0.1:6443"

// claimNetwork keeps a second demo off this machine's loopback addresses: its
// guests would answer in place of ours.
func claimNetwork(ctx context.Context) (release func() error, err error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", gateway)
	if err != nil {
		return nil, fmt.Errorf("taking the addresses of %s, which another demo on this machine may be using: %w", samples, err)
	}
	return listener.Close, nil
}
