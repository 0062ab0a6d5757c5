package lbguest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// probe asks one backend whether it is well.
type probe struct {
	check   lbapi.Check
	address string
	http    *http.Client
}

func newProbe(check lbapi.Check, address string, now func() time.Time) (*probe, error) {
	p := &probe{check: check, address: address}
	if check.Kind != lbapi.CheckTLSReadyz {
		return p, nil
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(check.CA)) {
		return nil, errors.New("check has no CA")
	}
	p.http = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: check.ServerName, Time: now},
	}}
	return p, nil
}

func (p *probe) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.check.Timeout)
	defer cancel()
	if p.http == nil {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.address)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+p.address+p.check.Path, nil)
	if err != nil {
		return err
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return err
	}
	// What is left unread would cost the connection, and a handshake at the next
	// check.
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", p.check.Path, resp.Status)
	}
	return nil
}

func (p *probe) close() {
	if p.http != nil {
		p.http.CloseIdleConnections()
	}
}
