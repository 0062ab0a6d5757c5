package demoenv

import (
	"context"
	"errors"
	"fmt"
	"net"
)

const loopback = "127.0.0.1"

// freePorts returns so many ports of loopback that nobody listens on. All are
// held until the last is found, so that none is given twice.
func freePorts(ctx context.Context, count int) (ports []int, err error) {
	var held []net.Listener
	defer func() {
		for _, listener := range held {
			err = errors.Join(err, listener.Close())
		}
	}()
	for range count {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", loopback+":0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		held = append(held, listener)
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func hostPort(port int) string { return fmt.Sprintf("%s:%d", loopback, port) }
