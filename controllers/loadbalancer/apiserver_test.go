package loadbalancer_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/pki"
)

const apiPort = 6443

// authority is the CA of a cluster, which is its API servers' certificate too.
type authority struct {
	pem         []byte
	certificate tls.Certificate
	pool        *x509.CertPool
}

func newAuthority() *authority {
	GinkgoHelper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kubernetes"}, DNSNames: []string{"kubernetes.default.svc"},
		IsCA: true, BasicConstraintsValid: true, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	Expect(err).NotTo(HaveOccurred())
	cert, err := x509.ParseCertificate(der)
	Expect(err).NotTo(HaveOccurred())
	a := &authority{
		pem:         pki.EncodeCertificates(cert),
		certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		pool:        x509.NewCertPool(),
	}
	a.pool.AddCert(cert)
	return a
}

// newMember makes a control-plane Machine with an API server that is ready and
// answers with the Machine's name.
func (s *site) newMember(ctx context.Context, name string) *clusterv1.Machine {
	GinkgoHelper()
	address := s.newVMAddress()
	listener, err := tls.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(apiPort)), &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{s.ca.certificate},
	})
	Expect(err).NotTo(HaveOccurred())
	web := &http.Server{
		ReadHeaderTimeout: time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) }),
	}
	go func() { _ = web.Serve(listener) }()
	DeferCleanup(func() { _ = web.Close() })

	machine := &clusterv1.Machine{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.namespace, Name: name, Finalizers: []string{held},
			Labels: map[string]string{clusterv1.ClusterNameLabel: clusterName, clusterv1.MachineControlPlaneLabel: ""},
		},
		Spec: clusterv1.MachineSpec{
			ClusterName:       clusterName,
			Bootstrap:         clusterv1.Bootstrap{DataSecretName: new(string)},
			InfrastructureRef: clusterv1.ContractVersionedObjectReference{APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "HyperVMachine", Name: name},
		},
	}
	*machine.Spec.Bootstrap.DataSecretName = name
	Expect(k8s.Create(ctx, machine)).To(Succeed())
	before := machine.DeepCopy()
	machine.Status.Addresses = clusterv1.MachineAddresses{{Type: clusterv1.MachineInternalIP, Address: address}}
	machine.Status.NodeRef.Name = name
	Expect(k8s.Status().Patch(ctx, machine, client.MergeFrom(before))).To(Succeed())
	return machine
}

// release lets a Machine that is being deleted go.
func release(ctx context.Context, machine *clusterv1.Machine) {
	GinkgoHelper()
	before := machine.DeepCopy()
	machine.Finalizers = nil
	Expect(k8s.Patch(ctx, machine, client.MergeFrom(before))).To(Succeed())
}

// departureHook is what holds a Machine that is deleted, and sharedHook what held it
// before each load balancer had a hook of its own.
const (
	departureHook = "pre-drain.delete.hook.machine.cluster.x-k8s.io/capstan." + clusterName
	sharedHook    = "pre-drain.delete.hook.machine.cluster.x-k8s.io/capstan-load-balancer"
)

// hooks are what hold a Machine that is deleted.
func hooks(ctx context.Context, machine *clusterv1.Machine) []string {
	GinkgoHelper()
	now := &clusterv1.Machine{}
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(machine), now)).To(Succeed())
	var hooks []string
	for name := range now.Annotations {
		if strings.HasPrefix(name, clusterv1.PreDrainDeleteHookAnnotationPrefix) {
			hooks = append(hooks, name)
		}
	}
	return hooks
}

// ask returns which member answers a new connection to the VIP, or why none does.
func (s *site) ask() string { return s.get(s.newClient(true)) }

// keep returns a function that asks on one connection as long as that holds.
func (s *site) keep() func() string {
	client := s.newClient(false)
	DeferCleanup(client.CloseIdleConnections)
	return func() string { return s.get(client) }
}

func (s *site) newClient(anew bool) *http.Client {
	return &http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: anew,
			TLSClientConfig:   &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: s.ca.pool, ServerName: "kubernetes.default.svc"},
		},
	}
}

func (s *site) get(client *http.Client) string {
	answer, err := client.Get("https://" + net.JoinHostPort(s.vip(), strconv.Itoa(apiPort)) + "/")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
