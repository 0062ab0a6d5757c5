package traffic

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Health is what a server says to health checks, over HTTP or HTTPS, on the port on
// which it answers requests. It is kept in files, so that whoever asks from another
// namespace can change it at any time.
type Health struct {
	// Dir is where the files are, and Server is whose they are.
	Dir, Server string
}

// Say has checks of a path answered with a status. Paths of which nothing was said are
// not found.
func (h Health) Say(path string, status int) error {
	return replace(h.status(path), strconv.Itoa(status))
}

// Certify gives the server a certificate and its key, both in PEM. Without one it
// speaks no TLS.
func (h Health) Certify(certificate, key []byte) error {
	return replace(h.identity(), string(certificate)+string(key))
}

// replace leaves no moment at which half of a file can be read.
func replace(path, content string) error {
	if err := os.WriteFile(path+".next", []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".next", path)
}

func (h Health) status(path string) string {
	return filepath.Join(h.Dir, h.Server+strings.ReplaceAll(path, "/", "_")+".status")
}

func (h Health) identity() string { return filepath.Join(h.Dir, h.Server+".pem") }

// answer answers one check. One that goes away is no fault on this side.
func (h Health) answer(conn net.Conn, secure bool) {
	if h.Dir == "" {
		return
	}
	if secure {
		certificate, err := tls.LoadX509KeyPair(h.identity(), h.identity())
		if err != nil {
			return
		}
		conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
	}
	asked, err := http.ReadRequest(bufio.NewReader(conn))
	if err != nil {
		return
	}
	status := http.StatusNotFound
	switch said, err := os.ReadFile(h.status(asked.URL.Path)); {
	case err == nil:
		if status, err = strconv.Atoi(string(said)); err != nil {
			return
		}
	case !errors.Is(err, fs.ErrNotExist):
		return
	}
	fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status, http.StatusText(status))
	if secured, ok := conn.(*tls.Conn); ok {
		_ = secured.CloseWrite()
	}
}

// begun is a connection whose first bytes have been read.
type begun struct {
	net.Conn
	first []byte
}

func (b *begun) Read(p []byte) (int, error) {
	if len(b.first) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.first)
	b.first = b.first[n:]
	return n, nil
}
