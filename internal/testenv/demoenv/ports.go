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
	var listen net.ListenConfig
	for range count {
		listener, listenErr := listen.Listen(ctx, "tcp", loopback+":0")
		if listenErr != nil {
			return nil, errors.Join(err, fmt.Errorf("looking for a free port: %w", listenErr))
		}
		defer func() { err = errors.Join(err, listener.Close()) }()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func hostPort(port int) string { return fmt.Sprintf("%s:%d", loopback, port) }
