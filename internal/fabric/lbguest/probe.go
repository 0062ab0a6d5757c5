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
	"strconv"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// probe asks one backend whether it is well.
type probe struct {
	check   lbapi.Check
	address string
	// url and http are for the kinds that ask something.
	url  string
	http *http.Client
}

func newProbe(check lbapi.Check, address string, now func() time.Time) (*probe, error) {
	p := &probe{check: check, address: address}
	switch check.Kind {
	case lbapi.CheckTCP:
		return p, nil
	case lbapi.CheckHTTP:
		host, _, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		p.url = "http://" + net.JoinHostPort(host, strconv.Itoa(int(check.Port))) + check.Path
		p.http = &http.Client{Transport: &http.Transport{}, CheckRedirect: stayHere}
		return p, nil
	case lbapi.CheckTLSReadyz:
	}
	p.url = "https://" + address + check.Path
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(check.CA)) {
		return nil, errors.New("check has no CA")
	}
	p.http = &http.Client{CheckRedirect: stayHere, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, ServerName: check.ServerName, Time: now},
	}}
	return p, nil
}

// stayHere takes a redirect for the answer, as HAProxy does.
func stayHere(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

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
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.url, nil)
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
