package guest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/netip"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// clientURLs is where kubeadm leaves the address of an etcd member for others.
const clientURLs = "kubeadm.kubernetes.io/etcd.advertise-client-urls"

// joinMembers makes this machine an etcd member of the cluster that its seed
// names: it finds the cluster by its token, and its etcd through the cluster's API.
func (cp *controlPlane) joinMembers(ctx context.Context) error {
	st := &cp.mem.Node
	return cp.retry(ctx, "kubeadm join", func(ctx context.Context) error {
		found, err := cp.discover(ctx, cp.kubeadm.join.Discovery.BootstrapToken)
		if err != nil {
			return err
		}
		if !found.owns(cp.pki.ca) {
			return failure{errors.New("the CA in the seed is not the cluster's")}
		}
		if st.Version, err = cp.joinVersion(found, roleJoinControlPlane); err != nil {
			return failure{err}
		}
		member, err := cp.addMember(ctx, found)
		if err != nil {
			return err
		}
		st.ClusterConfiguration = found.configYAML
		st.EtcdCluster, st.EtcdMember = member.Header.ClusterId, member.Member.ID
		if err := cp.remember(); err != nil {
			return err
		}
		cp.console.line("kubeadm join: added as an etcd member, one of %d", len(member.Members))
		return nil
	})
}

func (d *discovered) owns(ca *authority) bool {
	cert, err := parseCertificate(d.caPEM)
	return err == nil && cert.Equal(ca.cert)
}

// addMember asks any etcd member that answers.
func (cp *controlPlane) addMember(ctx context.Context, found *discovered) (*pb.MemberAddResponse, error) {
	now := cp.runtime.Clock.Now()
	admin, err := cp.pki.ca.issue(now, subject{name: "kubernetes-admin", organizations: []string{mastersTeam}, usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil, err
	}
	client, err := cp.connect(found.endpoint, found.ca, apiCredentials{certificate: &admin})
	if err != nil {
		return nil, err
	}
	defer client.close()
	pods, err := client.core.Pods(metav1.NamespaceSystem).List(ctx, metav1.ListOptions{LabelSelector: "component=etcd,tier=control-plane"})
	if err != nil {
		return nil, fmt.Errorf("look for etcd: %w", err)
	}
	cert, err := cp.pki.etcd.issue(now, subject{name: "kube-apiserver-etcd-client", usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return nil, err
	}
	errs := []error{errors.New("no etcd member answers")}
	for _, pod := range pods.Items {
		response, err := cp.askEtcd(ctx, pod.Annotations[clientURLs], &cert)
		if err == nil {
			return response, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", pod.Name, err))
	}
	return nil, errors.Join(errs...)
}

func (cp *controlPlane) askEtcd(ctx context.Context, url string, cert *tls.Certificate) (*pb.MemberAddResponse, error) {
	var at string
	if _, err := fmt.Sscanf(url, "https://%s", &at); err != nil {
		return nil, errors.New("it has no client URL")
	}
	dialer := cp.dialer()
	conn, err := grpc.NewClient("passthrough:///"+at,
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{
			Certificates: []tls.Certificate{*cert}, RootCAs: cp.pki.etcd.pool(), MinVersion: tls.VersionTLS12, Time: cp.runtime.Clock.Now,
		})),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}))
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	peer := "https://" + netip.AddrPortFrom(cp.mem.address(), 2380).String()
	return pb.NewClusterClient(conn).MemberAdd(ctx, &pb.MemberAddRequest{PeerURLs: []string{peer}, IsLearner: true})
}

// runWorker joins a cluster through the endpoint in the seed and runs a kubelet.
func (g *Guest) runWorker(ctx context.Context, c kubeadmConfig, mem *memory) error {
	st := &mem.Node
	endpoint := c.join.Discovery.BootstrapToken.APIServerEndpoint
	if len(st.Certificate) == 0 {
		if err := g.retry(ctx, "kubeadm join", func(ctx context.Context) error { return g.bootstrapKubelet(ctx, c, mem) }); err != nil {
			return err
		}
	}
	cert, err := tls.X509KeyPair(st.Certificate, st.Key)
	if err != nil {
		return fmt.Errorf("kubelet: the client certificate on the disk is damaged: %w", err)
	}
	ca := x509.NewCertPool()
	ca.AppendCertsFromPEM(st.CA)
	client, err := g.connect(endpoint, ca, apiCredentials{certificate: &cert})
	if err != nil {
		return fmt.Errorf("kubelet: %w", err)
	}
	defer client.close()
	return g.kubelet(ctx, kubelet{client: client, mem: mem, options: c.registration()})
}

// bootstrapKubelet gets the kubelet's client certificate for the token.
func (g *Guest) bootstrapKubelet(ctx context.Context, c kubeadmConfig, mem *memory) error {
	found, err := g.discover(ctx, c.join.Discovery.BootstrapToken)
	if err != nil {
		return err
	}
	version, err := g.joinVersion(found, roleWorker)
	if err != nil {
		return failure{err}
	}
	client, err := g.connect(found.endpoint, found.ca, apiCredentials{token: c.join.Discovery.BootstrapToken.Token})
	if err != nil {
		return err
	}
	defer client.close()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "system:node:" + mem.Hostname, Organization: []string{nodesTeam}},
	}, key)
	if err != nil {
		return fmt.Errorf("make a certificate request: %w", err)
	}
	csr, err := client.certificates.CertificateSigningRequests().Create(ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "node-csr-"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientKubeletSignerName,
			Usages:     []certificatesv1.KeyUsage{certificatesv1.UsageDigitalSignature, certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("ask for a certificate: %w", err)
	}
	if len(csr.Status.Certificate) == 0 {
		return errors.New("the certificate request was not approved")
	}
	st := &mem.Node
	if st.Key, err = keyPEM(key); err != nil {
		return err
	}
	st.CA, st.Certificate, st.Version = found.caPEM, csr.Status.Certificate, version
	if err := g.disk.write(stateFile, mem); err != nil {
		return err
	}
	g.console.line("kubeadm join: the cluster at %s has certified this node", found.endpoint)
	return nil
}
