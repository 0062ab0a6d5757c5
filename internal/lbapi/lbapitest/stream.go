package lbapitest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// patience is how long a Stream waits for its server.
const patience = 5 * time.Second

// Stream is a connection to a Server that stays.
type Stream struct {
	// Server is the name of who answered.
	Server string

	conn  net.Conn
	lines *bufio.Reader
}

// Connect connects to a Server, directly or through what balances.
func Connect(ctx context.Context, address string) (*Stream, error) {
	conn, err := (&net.Dialer{Timeout: patience}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Stream{conn: conn, lines: bufio.NewReader(conn)}
	if s.Server, err = s.read(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return s, nil
}

// HoldOn returns a connection to the given server, made through address as often as
// that takes. It ends with the test.
func HoldOn(t testing.TB, address string, server *Server) *Stream {
	t.Helper()
	for range 20 {
		s, err := Connect(t.Context(), address)
		if err != nil {
			t.Fatalf("connect to %s: %v", address, err)
		}
		if s.Server == server.Name {
			t.Cleanup(s.Close)
			return s
		}
		s.Close()
	}
	t.Fatalf("no connection ever went to %s", server.Name)
	return nil
}

// Echo tells whether the server still repeats what it hears.
func (s *Stream) Echo() error {
	if _, err := fmt.Fprintln(s.conn, "hello"); err != nil {
		return err
	}
	answer, err := s.read()
	if err == nil && answer != "hello" {
		err = fmt.Errorf("heard %q", answer)
	}
	return err
}

func (s *Stream) read() (string, error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	line, err := s.lines.ReadString('\n')
	return strings.TrimSpace(line), err
}

// Close ends the connection.
func (s *Stream) Close() { _ = s.conn.Close() }
