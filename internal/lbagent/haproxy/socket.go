package haproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/daemon"
)

// socketTimeout is how long HAProxy may take for one answer.
const socketTimeout = 5 * time.Second

// maxAnswer bounds what is read of one answer.
const maxAnswer = 64 << 20

// socket is a Unix socket of HAProxy that takes commands: of a worker, or of the
// master.
type socket string

// ask sends one command and returns the answer.
func (s socket) ask(ctx context.Context, words ...string) (_ string, err error) {
	command, err := joined(words...)
	if err != nil {
		return "", err
	}
	return s.send(ctx, command)
}

// send sends a command that is made of constants and checked words.
func (s socket) send(ctx context.Context, command string) (_ string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("ask HAProxy to %.200q: %w", command, err)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, socketTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", string(s))
	if err != nil {
		return "", err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := io.WriteString(conn, command+"\n"); err != nil {
		return "", err
	}
	// The master answers for as long as it could still be asked something.
	if unix, ok := conn.(*net.UnixConn); ok {
		if err := unix.CloseWrite(); err != nil {
			return "", err
		}
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	return string(answer), err
}

// must sends a command whose answer is one of those expected, and fails with what
// HAProxy says otherwise. Most commands say nothing when they succeed.
func (s socket) must(ctx context.Context, expected []string, words ...string) error {
	answer, err := s.ask(ctx, words...)
	if err != nil {
		return err
	}
	answer = strings.TrimSpace(answer)
	for _, e := range append(expected, "") {
		if answer == e || e != "" && strings.Contains(answer, e) {
			return nil
		}
	}
	return fmt.Errorf("ask HAProxy to %.200q: %w", strings.Join(words, " "), errors.New(daemon.Shortened(answer)))
}
