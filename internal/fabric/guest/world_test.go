package guest_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blang/semver/v4"
	"github.com/go-logr/logr/testr"
	"github.com/google/uuid"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/cloudinit"
	kubeadmtypes "sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types/upstream"
	"sigs.k8s.io/cluster-api/util/certs"
	"sigs.k8s.io/cluster-api/util/secret"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/fabric/guest"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const (
	version = "v1.36.3"
	token   = "abcdef.0123456789abcdef"
	patient = 20 * time.Second
	often   = 20 * time.Millisecond
)

// world is a network with the machines of one cluster and a VIP before them.
type world struct {
	t       *testing.T
	runtime *guest.Runtime
	subnet  netip.Prefix
	next    netip.Addr
	vip     *vip
	certs   secret.Certificates
	dir     string
}

func newWorld(t *testing.T, alter ...func(*guest.Options)) *world {
	t.Helper()
	w := &world{t: t, subnet: freeSubnet(t), dir: t.TempDir()}
	w.next = w.subnet.Addr().Next()
	options := guest.Options{Log: testr.New(t), Retry: often, Heartbeat: 50 * time.Millisecond, SnapshotDelay: often}
	for _, a := range alter {
		a(&options)
	}
	w.runtime = guest.New(options)
	w.vip = newVIP(t, netip.AddrPortFrom(w.address(), 6443))
	w.makeKeys(bootstrapv1.EncryptionAlgorithmECDSAP256)
	return w
}

// makeKeys makes the cluster's authorities.
func (w *world) makeKeys(algorithm bootstrapv1.EncryptionAlgorithmType) {
	w.t.Helper()
	w.certs = secret.NewCertificatesForInitialControlPlane(&bootstrapv1.ClusterConfiguration{EncryptionAlgorithm: algorithm})
	NewWithT(w.t).Expect(w.certs.Generate()).To(Succeed())
}

// freeSubnet returns a range of loopback addresses that no other test uses.
func freeSubnet(t *testing.T) netip.Prefix {
	t.Helper()
	for {
		b := make([]byte, 2)
		_, _ = rand.Read(b)
		p := netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 128 + b[0]%100, b[1], 0}), 24)
		// The address that no machine gets marks the range as taken.
		l, err := net.Listen("tcp", netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 128 + b[0]%100, b[1], 254}), 6443).String())
		if err == nil {
			t.Cleanup(func() { _ = l.Close() })
			return p
		}
	}
}

func (w *world) address() netip.Addr {
	a := w.next
	w.next = a.Next()
	return a
}

// machine is a VM of the test.
type machine struct {
	w       *world
	Machine guest.Machine
	id      string
	address netip.Addr
	running *guest.Guest

	mu      sync.Mutex
	report  guest.Report
	console []string
}

func (w *world) machine(name string) *machine {
	id := uuid.NewString()
	return &machine{w: w, id: id, address: w.address(), Machine: guest.Machine{
		GUID: uuid.NewString(), Name: name, OS: "Linux", KubernetesVersion: version,
		MACs: []string{hostapi.MACAddress(hostapi.VMID(id), 0)}, DiskDir: filepath.Join(w.dir, name),
	}}
}

// seed makes the seed of a machine as the manager does.
func (m *machine) seed(userData []byte, alter ...func(*bootstrap.Input)) *machine {
	m.w.t.Helper()
	in := bootstrap.Input{
		Identity: bootstrap.Identity{VM: m.id, Hostname: m.Machine.Name}, OS: bootstrap.Linux,
		NICs: []bootstrap.NIC{{
			MAC: m.Machine.MACs[0], Addresses: []netip.Prefix{netip.PrefixFrom(m.address, 24)},
			Gateways: []netip.Addr{m.w.subnet.Addr().Next()},
		}},
		UserData: userData,
	}
	for _, a := range alter {
		a(&in)
	}
	image, err := bootstrap.Seed(in)
	NewWithT(m.w.t).Expect(err).NotTo(HaveOccurred())
	m.Machine.Seed = image
	return m
}

func (m *machine) powerOn() *machine {
	m.running = m.w.runtime.Start(context.Background(), m.Machine, func(r guest.Report) {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.report = r
		m.console = append(m.console, r.Console...)
	})
	running := m.running
	m.w.t.Cleanup(running.Stop)
	return m
}

func (m *machine) powerOff() {
	m.running.Stop()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.report, m.console = guest.Report{}, nil
}

func (m *machine) ready() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.report.Ready
}

func (m *machine) said() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.console, "\n")
}

func (m *machine) phase() guest.Phase {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.report.Phase
}

// init is the user data of the first control-plane machine, by Cluster API's own
// code.
func (w *world) init() []byte {
	g := NewWithT(w.t)
	v := semver.MustParse(strings.TrimPrefix(version, "v"))
	cluster, err := kubeadmtypes.MarshalClusterConfigurationForVersion(&bootstrapv1.ClusterConfiguration{ControlPlaneEndpoint: w.vip.at.String()}, v, &upstream.AdditionalData{
		KubernetesVersion: ptr(version), ClusterName: ptr("shop"),
		ServiceSubnet: ptr("10.128.0.0/12"), PodSubnet: ptr("192.168.0.0/16"), DNSDomain: ptr("cluster.local"),
	})
	g.Expect(err).NotTo(HaveOccurred())
	init, err := kubeadmtypes.MarshalInitConfigurationForVersion(&bootstrapv1.InitConfiguration{
		NodeRegistration: registration(),
		BootstrapTokens: []bootstrapv1.BootstrapToken{{
			Token: bootstrapv1.BootstrapTokenString{ID: token[:6], Secret: token[7:]},
		}},
	}, v)
	g.Expect(err).NotTo(HaveOccurred())
	data, err := cloudinit.NewInitControlPlane(&cloudinit.ControlPlaneInput{
		Certificates: w.certs, ClusterConfiguration: cluster, InitConfiguration: init,
	})
	g.Expect(err).NotTo(HaveOccurred())
	return data
}

func registration() bootstrapv1.NodeRegistrationOptions {
	return bootstrapv1.NodeRegistrationOptions{
		Name: "{{ ds.meta_data.local_hostname }}",
		KubeletExtraArgs: []bootstrapv1.Arg{
			{Name: "provider-id", Value: ptr("hyperv://{{ ds.meta_data.instance_id }}")},
			{Name: "node-labels", Value: ptr("example.com/pool=blue")},
		},
	}
}

func (w *world) joinConfiguration(controlPlane bool, alter ...func(*bootstrapv1.JoinConfiguration)) string {
	g := NewWithT(w.t)
	pins, err := w.certs.GetByPurpose(secret.ClusterCA).Hashes()
	g.Expect(err).NotTo(HaveOccurred())
	config := &bootstrapv1.JoinConfiguration{
		NodeRegistration: registration(),
		Discovery: bootstrapv1.Discovery{BootstrapToken: bootstrapv1.BootstrapTokenDiscovery{
			Token: token, APIServerEndpoint: w.vip.at.String(), CACertHashes: pins,
		}},
	}
	if controlPlane {
		config.ControlPlane = &bootstrapv1.JoinControlPlane{}
	}
	for _, a := range alter {
		a(config)
	}
	join, err := kubeadmtypes.MarshalJoinConfigurationForVersion(config, semver.MustParse(strings.TrimPrefix(version, "v")))
	g.Expect(err).NotTo(HaveOccurred())
	return join
}

func (w *world) worker() []byte {
	data, err := cloudinit.NewNode(&cloudinit.NodeInput{JoinConfiguration: w.joinConfiguration(false)})
	NewWithT(w.t).Expect(err).NotTo(HaveOccurred())
	return data
}

func (w *world) joinControlPlane() []byte {
	data, err := cloudinit.NewJoinControlPlane(&cloudinit.ControlPlaneJoinInput{Certificates: w.certs, JoinConfiguration: w.joinConfiguration(true)})
	NewWithT(w.t).Expect(err).NotTo(HaveOccurred())
	return data
}

// admin is a client with an administrator's certificate from the cluster's CA.
func (w *world) admin(at netip.AddrPort) *kubernetes.Clientset {
	client, err := kubernetes.NewForConfig(w.adminConfig(at))
	NewWithT(w.t).Expect(err).NotTo(HaveOccurred())
	return client
}

func (w *world) adminConfig(at netip.AddrPort) *rest.Config {
	cert, key := w.clientCertificate(secret.ClusterCA, "kubernetes-admin")
	return &rest.Config{Host: "https://" + at.String(), QPS: -1, Timeout: 5 * time.Second, TLSClientConfig: rest.TLSClientConfig{
		CAData: w.certs.GetByPurpose(secret.ClusterCA).KeyPair.Cert, CertData: cert, KeyData: key,
	}}
}

func (w *world) clientCertificate(purpose secret.Purpose, name string) (cert, key []byte) {
	g := NewWithT(w.t)
	pair := w.certs.GetByPurpose(purpose).KeyPair
	ca, err := certs.DecodeCertPEM(pair.Cert)
	g.Expect(err).NotTo(HaveOccurred())
	caKey, err := certs.DecodePrivateKeyPEM(pair.Key)
	g.Expect(err).NotTo(HaveOccurred())
	private, err := certs.NewSigner(bootstrapv1.EncryptionAlgorithmECDSAP256)
	g.Expect(err).NotTo(HaveOccurred())
	config := certs.Config{CommonName: name, Organization: []string{"system:masters"}, Usages: clientAuth}
	signed, err := config.NewSignedCert(private, ca, caKey)
	g.Expect(err).NotTo(HaveOccurred())
	encoded, err := certs.EncodePrivateKeyPEMFromSigner(private)
	g.Expect(err).NotTo(HaveOccurred())
	return certs.EncodeCertPEM(signed), encoded
}

// nodeReady returns whether a Node is ready, as an administrator sees it.
func (w *world) nodeReady(name string) func() (string, error) {
	client := w.admin(w.vip.at)
	return func() (string, error) {
		node, err := client.CoreV1().Nodes().Get(context.Background(), name, metav1.GetOptions{})
		if err != nil {
			return "", err
		}
		for _, c := range node.Status.Conditions {
			if c.Type == "Ready" {
				return string(c.Status), nil
			}
		}
		return "", fmt.Errorf("node %s has no condition Ready", name)
	}
}

// startCluster powers on a first control-plane machine and waits for its Node.
func (w *world) startCluster() *machine {
	w.t.Helper()
	g := NewWithT(w.t)
	m := w.machine("cp-1").seed(w.init())
	w.vip.backends(m)
	m.powerOn()
	g.Eventually(m.ready, patient, often).Should(BeTrue(), m.said)
	return m
}

// vip forwards connections to control-plane machines.
type vip struct {
	at netip.AddrPort
	mu sync.Mutex
	to []string
}

func newVIP(t *testing.T, at netip.AddrPort) *vip {
	t.Helper()
	l, err := net.Listen("tcp", at.String())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = l.Close() })
	v := &vip{at: at}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go v.forward(conn)
		}
	}()
	return v
}

func (v *vip) backends(machines ...*machine) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.to = nil
	for _, m := range machines {
		v.to = append(v.to, netip.AddrPortFrom(m.address, 6443).String())
	}
}

func (v *vip) forward(client net.Conn) {
	defer func() { _ = client.Close() }()
	v.mu.Lock()
	to := append([]string(nil), v.to...)
	v.mu.Unlock()
	for _, address := range to {
		server, err := net.Dial("tcp", address)
		if err != nil {
			continue
		}
		go func() { _, _ = io.Copy(server, client); _ = server.Close() }()
		_, _ = io.Copy(client, server)
		_ = server.Close()
		return
	}
}

// asks returns the status code of an anonymous request.
func asks(at netip.AddrPort, path string) func() (string, error) {
	return func() (string, error) {
		conn, err := tls.Dial("tcp", at.String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return "", err
		}
		defer func() { _ = conn.Close() }()
		if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.0\r\nHost: x\r\n\r\n", path); err != nil {
			return "", err
		}
		b, err := io.ReadAll(conn)
		line, _, _ := bytes.Cut(b, []byte("\r\n"))
		return string(line), err
	}
}

func ptr[T any](v T) *T { return &v }
