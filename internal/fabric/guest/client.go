package guest

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	utilnet "k8s.io/apimachinery/pkg/util/net"
	certificatesv1client "k8s.io/client-go/kubernetes/typed/certificates/v1"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// callTimeout ends calls that hang, as they do when a load balancer is cut off.
const callTimeout = 10 * time.Second

// apiClient is a machine's connection to an API server.
type apiClient struct {
	host         string
	core         *corev1client.CoreV1Client
	leases       *coordinationv1client.CoordinationV1Client
	certificates *certificatesv1client.CertificatesV1Client
	transport    *http.Transport
}

// apiCredentials are how a machine shows who it is: a certificate or a token.
type apiCredentials struct {
	certificate *tls.Certificate
	token       string
}

// dialer dials from the machine's own address.
func (g *Guest) dialer() *net.Dialer {
	d := &net.Dialer{Timeout: callTimeout}
	if a := g.own.Load(); a != nil {
		d.LocalAddr = &net.TCPAddr{IP: *a}
	}
	return d
}

// transport returns a transport that trusts a CA, or nobody's word if it is nil.
func (g *Guest) transport(ca *x509.CertPool, who apiCredentials) *http.Transport {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: ca, Time: g.runtime.Clock.Now}
	if ca == nil {
		// As kubeadm's discovery: what it reads is verified by the token's
		// signature and the CA's pin.
		config.InsecureSkipVerify = true
	}
	if who.certificate != nil {
		config.Certificates = []tls.Certificate{*who.certificate}
	}
	return &http.Transport{
		DialContext: g.dialer().DialContext, TLSClientConfig: config, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: callTimeout, IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 1,
	}
}

// connect returns a client of the API server at an endpoint.
func (g *Guest) connect(endpoint string, ca *x509.CertPool, who apiCredentials) (*apiClient, error) {
	c := &apiClient{host: "https://" + endpoint, transport: g.transport(ca, who)}
	config := &rest.Config{Host: c.host, UserAgent: "kubelet/" + g.machine.KubernetesVersion, QPS: -1}
	client := &http.Client{Transport: once{c.transport, who.token}, Timeout: callTimeout}
	var err error
	if c.core, err = corev1client.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	if c.leases, err = coordinationv1client.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	if c.certificates, err = certificatesv1client.NewForConfigAndClient(config, client); err != nil {
		return nil, fmt.Errorf("connect to %s: %w", endpoint, err)
	}
	return c, nil
}

func (c *apiClient) close() { c.transport.CloseIdleConnections() }

// once sends each request once, with a bearer token if there is one.
type once struct {
	base  http.RoundTripper
	token string
}

// RoundTrip implements http.RoundTripper. A connection that breaks off is
// reported in words that the Kubernetes client does not know: it would try again
// for ten seconds, and the guest's console would be silent for so long.
func (o once) RoundTrip(r *http.Request) (*http.Response, error) {
	if o.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+o.token)
	}
	response, err := o.base.RoundTrip(r)
	if err != nil && (utilnet.IsProbableEOF(err) || utilnet.IsConnectionReset(err)) {
		return nil, errors.New("the connection broke off")
	}
	return response, err
}
