package lbguest

import (
	"io"
	"net"
)

// carry copies both ways until both sides have said all they had to say, or one
// breaks.
func carry(a, b net.Conn) {
	back := make(chan struct{})
	go func() {
		defer close(back)
		pour(a, b)
	}()
	pour(b, a)
	<-back
}

// pour copies from one side until it has finished, and tells the other so. A side
// that breaks takes the other with it: half a connection is of no use to anybody.
func pour(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	if err != nil {
		_ = to.Close()
		_ = from.Close()
	}
}
