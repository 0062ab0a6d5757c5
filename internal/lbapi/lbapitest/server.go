package lbapitest

import (
	"fmt"
	"io"
	"net"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// Server is a backend that says its name and then repeats what it hears.
type Server struct {
	lbapi.Backend
	listener net.Listener
}

// Listen begins to accept connections, anew after a Close.
func (s *Server) Listen() error {
	listener, err := net.Listen("tcp", fmt.Sprintf("%s:%d", s.Address, s.Port))
	if err != nil {
		return err
	}
	s.listener = listener
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := fmt.Fprintln(conn, s.Name); err == nil {
					_, _ = io.Copy(conn, conn)
				}
			}()
		}
	}()
	return nil
}

// Close accepts no more; what is connected goes on.
func (s *Server) Close() { _ = s.listener.Close() }

// Drained returns the backend as one that gets no new connections.
func (s *Server) Drained() lbapi.Backend {
	b := s.Backend
	b.Drain = true
	return b
}
