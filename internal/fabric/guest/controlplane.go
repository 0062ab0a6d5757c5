package guest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	kubeadmv1 "sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types/upstreamv1beta4"
	"sigs.k8s.io/yaml"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/fabric/guest/kubeapi"
)

// nodeState is what kubeadm and the kubelet leave on the disk.
type nodeState struct {
	// Version is the Kubernetes version of the machine.
	Version string
	// ClusterConfiguration is kubeadm's, on control-plane machines.
	ClusterConfiguration string
	// EtcdCluster and EtcdMember identify the etcd member of a control-plane
	// machine.
	EtcdCluster, EtcdMember uint64
	// CA, Certificate and Key are how a worker's kubelet speaks with its cluster.
	CA, Certificate, Key []byte
	// Joined tells that kubeadm has done its work.
	Joined bool
}

const (
	apiPort     = 6443
	etcdPort    = 2379
	serverName  = "kube-apiserver"
	mastersTeam = "system:masters"
	nodesTeam   = "system:nodes"
)

// controlPlane is a control-plane machine at work.
type controlPlane struct {
	*Guest
	mem     *memory
	kubeadm kubeadmConfig
	pki     *clusterPKI
	config  *kubeadmv1.ClusterConfiguration
	cluster *cluster
}

func (g *Guest) runNode(ctx context.Context, todo plan, mem *memory) error {
	if g.machine.Fault == fabricapi.ImageNoContainerd {
		return g.withoutContainerd(ctx, mem)
	}
	if todo.role == roleWorker {
		return g.runWorker(ctx, todo.kubeadm, mem)
	}
	pki, err := readPKI(contents(mem.Config.Files))
	if err != nil {
		return fmt.Errorf("kubeadm: %w", err)
	}
	cp := &controlPlane{Guest: g, mem: mem, kubeadm: todo.kubeadm, pki: pki}
	if err := cp.prepare(ctx, todo.role); err != nil {
		return err
	}
	return cp.serve(ctx)
}

// prepare makes the machine a member of its cluster, once.
func (cp *controlPlane) prepare(ctx context.Context, r role) error {
	st := &cp.mem.Node
	if st.EtcdMember == 0 {
		var err error
		if r == roleInit {
			err = cp.init()
		} else {
			err = cp.joinMembers(ctx)
		}
		if err != nil {
			return err
		}
	}
	cp.config = &kubeadmv1.ClusterConfiguration{}
	if err := yaml.Unmarshal([]byte(st.ClusterConfiguration), cp.config); err != nil {
		return fmt.Errorf("kubeadm: the cluster configuration is damaged: %w", err)
	}
	return nil
}

// init makes a new cluster. Its identity is on the disk before anything else, so
// that a power cut cannot make two.
func (cp *controlPlane) init() error {
	st := &cp.mem.Node
	config := cp.kubeadm.cluster
	st.Version = cp.machine.KubernetesVersion
	if st.Version == "" {
		st.Version = config.KubernetesVersion
	}
	if err := checkSkew(st.Version, config.KubernetesVersion, roleInit); err != nil {
		return fmt.Errorf("kubeadm init: %w", err)
	}
	b, err := yaml.Marshal(config)
	if err != nil {
		return fmt.Errorf("kubeadm init: %w", err)
	}
	st.ClusterConfiguration = string(b)
	st.EtcdCluster, st.EtcdMember = newID(), newID()
	first := member{ID: st.EtcdMember, Name: cp.mem.Hostname, Address: cp.mem.address().String()}
	if err := cp.runtime.found(keyOf(cp.pki.ca, st.EtcdCluster), first, cp.disk); err != nil {
		return fmt.Errorf("kubeadm init: %w", err)
	}
	if err := cp.remember(); err != nil {
		return err
	}
	cp.console.line("kubeadm init: new cluster of Kubernetes %s", config.KubernetesVersion)
	return nil
}

func (cp *controlPlane) remember() error { return cp.disk.write(stateFile, cp.mem) }

// serve runs etcd, the API server and the kubelet until the power goes.
func (cp *controlPlane) serve(ctx context.Context) error {
	st := &cp.mem.Node
	key := keyOf(cp.pki.ca, st.EtcdCluster)
	if err := cp.retry(ctx, "etcd", func(context.Context) error {
		c, err := cp.runtime.attach(key, st.EtcdMember, cp.mem.Hostname, cp.disk)
		cp.cluster = c
		return err
	}); err != nil {
		return err
	}
	defer cp.runtime.detach(cp.cluster, st.EtcdMember)
	cp.vote.Store(&vote{cp.cluster, st.EtcdMember})
	defer cp.vote.Store(nil)

	stopEtcd, err := cp.serveEtcd(ctx)
	if err != nil {
		return err
	}
	defer stopEtcd()
	if subnet, err := netip.ParsePrefix(cp.config.Networking.ServiceSubnet); err == nil {
		cp.cluster.store.SetServiceSubnet(subnet)
	}
	if cp.kubeadm.init != nil && !st.Joined {
		if err := cp.retry(ctx, "kubeadm init: addons", func(context.Context) error { return cp.upload() }); err != nil {
			return err
		}
	}
	stopAPI, err := cp.serveAPI(ctx)
	if err != nil {
		return err
	}
	defer stopAPI()
	return cp.runKubelet(ctx)
}

func (cp *controlPlane) serveEtcd(ctx context.Context) (stop func(), err error) {
	address := cp.mem.address()
	cert, err := cp.pki.etcd.issue(cp.runtime.Clock.Now(), subject{
		name: cp.mem.Hostname, dnsNames: []string{cp.mem.Hostname, "localhost", "etcd-" + cp.mem.Hostname},
		ips: []net.IP{address.AsSlice()}, usages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	listener, err := cp.listen(ctx, "etcd", netip.AddrPortFrom(address, etcdPort))
	if err != nil {
		return nil, err
	}
	server := grpc.NewServer(grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{cert}, ClientCAs: cp.pki.etcd.pool(), ClientAuth: tls.RequireAndVerifyClientCert,
		MinVersion: tls.VersionTLS12, Time: cp.runtime.Clock.Now,
	})))
	(&etcdServer{cluster: cp.cluster, id: cp.mem.Node.EtcdMember}).register(server)
	return listener.serving(func() error { return server.Serve(listener) }, server.Stop), nil
}

func (cp *controlPlane) serveAPI(ctx context.Context) (stop func(), err error) {
	cert, err := cp.pki.ca.issue(cp.runtime.Clock.Now(), cp.servingSubject())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", serverName, err)
	}
	id := cp.mem.Node.EtcdMember
	handler := kubeapi.NewServer(kubeapi.Options{
		Store: cp.cluster.store, Clock: cp.runtime.Clock, Log: cp.runtime.Log.WithValues("guest", cp.machine.Name), Version: cp.mem.Node.Version,
		Available: func() error { return cp.cluster.available(id) },
		Sign: func(r *x509.CertificateRequest, _ *certificatesv1.CertificateSigningRequest) ([]byte, error) {
			der, err := cp.pki.ca.sign(cp.runtime.Clock.Now(), subject{
				name: r.Subject.CommonName, organizations: r.Subject.Organization, usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
			}, r.PublicKey)
			return certificatePEM(der), err
		},
		DialPod: cp.dialPod,
	})
	listener, err := cp.listen(ctx, serverName, netip.AddrPortFrom(cp.mem.address(), cp.bindPort()))
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 30 * time.Second,
		// What clients do wrong in TLS is not worth a line for each.
		ErrorLog: log.New(discard{}, "", 0),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{cert}, ClientCAs: cp.pki.ca.pool(), ClientAuth: tls.VerifyClientCertIfGiven,
			MinVersion: tls.VersionTLS12, Time: cp.runtime.Clock.Now,
		},
	}
	cp.console.line("%s: listening on %s", serverName, listener.Addr())
	return listener.serving(func() error { return server.ServeTLS(listener, "", "") }, func() { _ = server.Close() }), nil
}

type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }

// servingSubject is what kubeadm puts into the API server's certificate.
func (cp *controlPlane) servingSubject() subject {
	domain := cp.config.Networking.DNSDomain
	if domain == "" {
		domain = "cluster.local"
	}
	s := subject{
		name:     serverName,
		dnsNames: []string{cp.mem.Hostname, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc." + domain},
		ips:      []net.IP{cp.mem.address().AsSlice()},
		usages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if endpoint, err := netip.ParseAddrPort(cp.config.ControlPlaneEndpoint); err == nil {
		s.ips = append(s.ips, endpoint.Addr().AsSlice())
	}
	if subnet, err := netip.ParsePrefix(cp.config.Networking.ServiceSubnet); err == nil {
		s.ips = append(s.ips, subnet.Masked().Addr().Next().AsSlice())
	}
	for _, san := range cp.config.APIServer.CertSANs {
		if ip := net.ParseIP(san); ip != nil {
			s.ips = append(s.ips, ip)
			continue
		}
		s.dnsNames = append(s.dnsNames, san)
	}
	return s
}

func (cp *controlPlane) bindPort() uint16 {
	port := int32(0)
	if cp.kubeadm.init != nil {
		port = cp.kubeadm.init.LocalAPIEndpoint.BindPort
	} else if cp.kubeadm.join.ControlPlane != nil {
		port = cp.kubeadm.join.ControlPlane.LocalAPIEndpoint.BindPort
	}
	if port <= 0 || port > 65535 {
		return apiPort
	}
	return uint16(port)
}

// dialPod connects to a pod on the network of its node, the only one there is.
func (cp *controlPlane) dialPod(ctx context.Context, namespace, name, port string) (net.Conn, error) {
	o, err := cp.cluster.store.Get(kubeapi.Pods, namespace, name)
	if err != nil {
		return nil, err
	}
	pod := o.(*corev1.Pod)
	if pod.Status.PodIP == "" {
		return nil, errors.New("the pod has no address")
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return nil, fmt.Errorf("%q is not a port", port)
	}
	return cp.dialer().DialContext(ctx, "tcp", net.JoinHostPort(pod.Status.PodIP, port))
}
