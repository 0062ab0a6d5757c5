package guest_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/portforward"
	"sigs.k8s.io/cluster-api/controlplane/kubeadm/pkg/etcd"
	"sigs.k8s.io/cluster-api/controlplane/kubeadm/pkg/proxy"
	"sigs.k8s.io/cluster-api/util/secret"

	"github.com/capstan-k8s/capstan/internal/fabric/guest"
)

// etcdClient speaks with one member.
type etcdClient struct {
	pb.ClusterClient
	pb.MaintenanceClient
}

// etcdOf connects to a member as Cluster API's control-plane provider does: by
// port-forward through the VIP. Each connection has a dialer of its own, because
// two cannot share one without a data race in it.
func (w *world) etcdOf(m *machine) etcdClient {
	g := NewWithT(w.t)
	forward := proxy.Proxy{Kind: "pods", Namespace: metav1.NamespaceSystem, KubeConfig: w.adminConfig(w.vip.at), Port: 2379}
	conn, err := grpc.NewClient("passthrough:///etcd-"+m.Machine.Name,
		grpc.WithTransportCredentials(credentials.NewTLS(w.etcdTLS())),
		grpc.WithContextDialer(func(ctx context.Context, pod string) (net.Conn, error) {
			dialer, err := proxy.NewDialer(forward)
			if err != nil {
				return nil, err
			}
			return dialer.DialContextWithAddr(ctx, pod)
		}))
	g.Expect(err).NotTo(HaveOccurred())
	w.t.Cleanup(func() { _ = conn.Close() })
	return etcdClient{pb.NewClusterClient(conn), pb.NewMaintenanceClient(conn)}
}

// etcdTLS is by what the provider and etcd know each other.
func (w *world) etcdTLS() *tls.Config {
	cert, key := w.clientCertificate(secret.EtcdCA, "cluster-api.x-k8s.io")
	pair, err := tls.X509KeyPair(cert, key)
	NewWithT(w.t).Expect(err).NotTo(HaveOccurred())
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.certs.GetByPurpose(secret.EtcdCA).KeyPair.Cert)
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
}

// startThree powers on a control plane of three machines, one after the other.
func (w *world) startThree() []*machine {
	w.t.Helper()
	g := NewWithT(w.t)
	all := []*machine{w.startCluster()}
	for _, name := range []string{"cp-2", "cp-3"} {
		m := w.machine(name).seed(w.joinControlPlane()).powerOn()
		g.Eventually(m.ready, patient, often).Should(BeTrue(), m.said)
		all = append(all, m)
	}
	w.vip.backends(all...)
	return all
}

func TestPortForwardsAreHadWithinAWebSocketWhichClientsTryFirst(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	first := w.startCluster()
	config := w.adminConfig(w.vip.at)
	url := w.admin(w.vip.at).CoreV1().RESTClient().Post().Resource("pods").Namespace(metav1.NamespaceSystem).
		Name("etcd-" + first.Machine.Name).SubResource("portforward").URL()
	dialer, err := portforward.NewSPDYOverWebsocketDialer(url, config)
	g.Expect(err).NotTo(HaveOccurred())
	conn, protocol, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(protocol).To(Equal(portforward.PortForwardProtocolV1Name))
	g.Expect(conn.Close()).To(Succeed())

	missing := *url
	missing.Path = strings.Replace(missing.Path, first.Machine.Name, "nobody", 1)
	dialer, err = portforward.NewSPDYOverWebsocketDialer(&missing, config)
	g.Expect(err).NotTo(HaveOccurred())
	_, _, err = dialer.Dial(portforward.PortForwardProtocolV1Name)
	g.Expect(err).To(MatchError(ContainSubstring("not found")))
}

// Cluster API's own client has several connections, dialled at once with one dialer.
func TestTheControlPlaneProvidersEtcdClientConnectsEachTime(t *testing.T) {
	g := NewWithT(t)
	ctx := context.Background()
	w := newWorld(t)
	first := w.startCluster()
	forward := proxy.Proxy{Kind: "pods", Namespace: metav1.NamespaceSystem, KubeConfig: w.adminConfig(w.vip.at), Port: 2379}
	for range 20 {
		client, err := etcd.NewClient(ctx, etcd.ClientConfiguration{
			Endpoint: "etcd-" + first.Machine.Name, Proxy: forward, TLSConfig: w.etcdTLS(), DialTimeout: patient, CallTimeout: patient,
		})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(client.Members(ctx)).To(HaveLen(1))
		g.Expect(client.Close()).To(Succeed())
	}
}

func TestEtcdMembersAreSeenAndRemovedThroughPortForwards(t *testing.T) {
	g := NewWithT(t)
	ctx := context.Background()
	w := newWorld(t)
	all := w.startThree()

	first := w.etcdOf(all[0])
	list, err := first.MemberList(ctx, &pb.MemberListRequest{Linearizable: true})
	g.Expect(err).NotTo(HaveOccurred())
	ids := map[string]uint64{}
	for _, m := range list.Members {
		g.Expect(m.IsLearner).To(BeFalse())
		ids[m.Name] = m.ID
	}
	g.Expect(ids).To(And(HaveLen(3), HaveKey("cp-1"), HaveKey("cp-2"), HaveKey("cp-3")))
	status, err := first.Status(ctx, &pb.StatusRequest{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(status.Leader).To(Equal(ids["cp-1"]))
	g.Expect(status.Header.MemberId).To(Equal(ids["cp-1"]))
	g.Expect(all[0].running.Electorate()).To(And(HaveField("Voting", 3), HaveField("Running", 3)))
	alarms, err := first.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_GET})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alarms.Alarms).To(BeEmpty())

	_, err = first.MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: ids["cp-2"]})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = first.MemberRemove(ctx, &pb.MemberRemoveRequest{ID: ids["cp-1"]})
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(asks(netip.AddrPortFrom(all[0].address, 6443), "/readyz"), patient, often).Should(ContainSubstring("500"))

	g.Expect(all[0].running.Electorate()).To(BeNil(), "it runs on, and has no vote any more")
	g.Expect(all[1].running.Electorate()).To(And(HaveField("Voting", 2), HaveField("Running", 2)))

	w.vip.backends(all[1], all[2])
	second := w.etcdOf(all[1])
	status, err = second.Status(ctx, &pb.StatusRequest{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(status.Leader).To(Equal(ids["cp-2"]))
	list, err = second.MemberList(ctx, &pb.MemberListRequest{Linearizable: true})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(list.Members).To(HaveLen(2))
}

func TestEtcdKeepsItsMajorityWhenMembersAreRemoved(t *testing.T) {
	g := NewWithT(t)
	ctx := context.Background()
	w := newWorld(t)
	all := w.startThree()
	client := w.etcdOf(all[0])
	list, err := client.MemberList(ctx, &pb.MemberListRequest{Linearizable: true})
	g.Expect(err).NotTo(HaveOccurred())
	all[2].powerOff()
	byName := map[string]uint64{}
	for _, m := range list.Members {
		byName[m.Name] = m.ID
	}
	_, err = client.MemberRemove(ctx, &pb.MemberRemoveRequest{ID: byName["cp-2"]})
	g.Expect(err).To(MatchError(ContainSubstring("not enough started members")))
	_, err = client.MemberRemove(ctx, &pb.MemberRemoveRequest{ID: byName["cp-3"]})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = client.MemberRemove(ctx, &pb.MemberRemoveRequest{ID: byName["cp-2"]})
	g.Expect(err).NotTo(HaveOccurred())
}

func TestWithoutAMajorityNothingIsServedUntilItIsBack(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	all := w.startThree()
	first := netip.AddrPortFrom(all[0].address, 6443)

	all[1].powerOff()
	g.Expect(asks(first, "/readyz")()).To(ContainSubstring("200"))
	all[2].powerOff()
	g.Expect(asks(first, "/readyz")()).To(ContainSubstring("500"))
	g.Expect(asks(first, "/livez")()).To(ContainSubstring("200"))
	_, err := w.admin(first).CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
	g.Expect(err).To(HaveOccurred())

	all[2].powerOn()
	g.Eventually(asks(first, "/readyz"), patient, often).Should(ContainSubstring("200"))
	nodes, err := w.admin(first).CoreV1().Nodes().List(context.Background(), metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(nodes.Items).To(HaveLen(3))
}

func TestTheNewestDiskWinsAfterAPowerCutOfAll(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	all := w.startThree()
	maps := w.admin(w.vip.at).CoreV1().ConfigMaps("default")
	all[0].powerOff()
	_, err := maps.Create(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	all[1].powerOff()
	all[2].powerOff()

	// The first machine has never seen the object, and comes up first.
	all[0].powerOn()
	g.Eventually(asks(netip.AddrPortFrom(all[0].address, 6443), "/livez"), patient, often).Should(ContainSubstring("200"))
	all[1].powerOn()
	g.Eventually(func() error {
		_, err := maps.Get(context.Background(), "late", metav1.GetOptions{})
		return err
	}, patient, often).Should(Succeed())
}

func TestASilentNodeIsNotReadyAndComesBack(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t, func(o *guest.Options) { o.NodeGrace = 500 * time.Millisecond })
	w.startCluster()
	worker := w.machine("worker-1").seed(w.worker()).powerOn()
	g.Eventually(w.nodeReady("worker-1"), patient, often).Should(Equal("True"))
	worker.powerOff()
	g.Eventually(w.nodeReady("worker-1"), patient, often).Should(Equal("Unknown"))
	g.Expect(w.nodeReady("cp-1")()).To(Equal("True"))
	worker.powerOn()
	g.Eventually(w.nodeReady("worker-1"), patient, often).Should(Equal("True"))
}
