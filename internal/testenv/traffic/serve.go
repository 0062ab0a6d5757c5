package traffic

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// The first byte of a connection tells what it is.
const (
	request = '?'
	stream  = '~'
	// check is the first letter of GET, and handshake the type of TLS's first record.
	check     = 'G'
	handshake = 0x16
)

// patience is how long the answering side waits for a request that was begun.
const patience = 30 * time.Second

// Serve answers on the listener until it is closed. name is part of every answer, and
// health, which may be empty, is a folder with what it says to health checks.
func Serve(listener net.Listener, name, health string) error {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("serve %s: %w", name, err)
		}
		go answer(conn, name, Health{Dir: health, Server: name})
	}
}

// answer serves one connection. Whoever goes away before he has his answer, as a
// health check does, is no fault on this side: the other side counts.
func answer(conn net.Conn, name string, health Health) {
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return
	}
	var buffer [64]byte
	n, err := conn.Read(buffer[:])
	if err != nil {
		return
	}
	switch buffer[0] {
	case request:
		cork(conn)
		from, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		fmt.Fprintf(conn, "%s %s %s\n", strings.TrimSpace(string(buffer[1:n])), name, from)
	case stream:
		echo(conn, buffer[1:n])
	case check, handshake:
		health.answer(&begun{Conn: conn, first: buffer[:n]}, buffer[0] == handshake)
	}
}

// cork has the answer and the end of the connection go in one packet: at thousands in
// a second, the packets are what costs.
func cork(conn net.Conn) {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	// Without it, it is two packets.
	_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1) })
}

// echo returns lines for as long as the other side sends any.
func echo(conn net.Conn, first []byte) {
	lines := bufio.NewReader(io.MultiReader(strings.NewReader(string(first)), conn))
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return
		}
		if _, err := conn.Write(line); err != nil {
			return
		}
	}
}
