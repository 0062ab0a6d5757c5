package fabric

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// HostSocket is where programs on a host find it.
func HostSocket(dir, host string) string { return filepath.Join(dir, "hosts", host+".sock") }

// AdminSocket is where auditors and levers are.
func AdminSocket(dir string) string { return filepath.Join(dir, "admin.sock") }

// InUse tells whether a fabric answers in a directory.
func InUse(dir string) bool {
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(context.Background(), "unix", AdminSocket(dir))
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// maxSocket is the longest path that a unix socket can have on Linux.
const maxSocket = 107

// Serve listens on the sockets of all hosts and on the admin socket. It calls
// ready when all answer, and returns once ctx has ended.
func (w *World) Serve(ctx context.Context, ready func()) error {
	handlers := map[string]http.Handler{AdminSocket(w.Dir): w.Admin().Handler()}
	for name := range w.hosts {
		handlers[HostSocket(w.Dir, name)] = w.Host(name).Handler()
	}
	return ServeSockets(ctx, handlers, ready)
}

// ServeSockets serves on sockets until ctx has ended. It calls ready when all answer.
func ServeSockets(ctx context.Context, handlers map[string]http.Handler, ready func()) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var servers []*http.Server
	defer func() {
		for _, s := range servers {
			_ = s.Close()
		}
	}()
	listeners := map[string]net.Listener{}
	defer func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}()
	for socket := range handlers {
		listener, err := listen(socket)
		if err != nil {
			return err
		}
		listeners[socket] = listener
	}
	// Whoever is answered on one may go on to another.
	for socket, listener := range listeners {
		server := &http.Server{Handler: handlers[socket], ReadHeaderTimeout: 10 * time.Second}
		servers = append(servers, server)
		go func() {
			if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
				stop(fmt.Errorf("serve %s: %w", socket, err))
			}
		}()
	}
	ready()
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

func listen(socket string) (net.Listener, error) {
	if len(socket) > maxSocket {
		return nil, fmt.Errorf("listen on %s: a socket's path has at most %d characters: use a shorter directory", socket, maxSocket)
	}
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", socket, err)
	}
	// What an earlier process left behind is no socket any more.
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("listen on %s: %w", socket, err)
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", socket, err)
	}
	return listener, nil
}
