package hostclient_test

import (
	"context"
	"net"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/enrol"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostapi/hostpb"
	"github.com/capstan-k8s/capstan/internal/hostclient"
	"github.com/capstan-k8s/capstan/internal/pki"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
)

// connect returns a bare connection, as a manager of another version has one.
func connect(t *testing.T, h *agenttest.Host) *enrol.Conn {
	t.Helper()
	conn, err := enrol.Connect(h.Target.Address, h.Manager.ClientConfig(pki.AgentRef{Name: h.Target.Name, Pin: h.Target.Pin}))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func TestANewerManagerIsServed(t *testing.T) {
	g := NewWithT(t)
	host := agenttest.Start(t, agenttest.Options{Driver: agenttest.NewDriver("hv-1")})
	conn := connect(t, host)

	req := hostapi.EnsureVMRequestToProto(wanted("vm-1"))
	later := protowire.AppendString(protowire.AppendTag(nil, 1000, protowire.BytesType), "later")
	req.ProtoReflect().SetUnknown(later)
	req.GetStamp().ProtoReflect().SetUnknown(later)
	resp, err := hostpb.NewHostAgentClient(conn).EnsureVM(t.Context(), req)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(hostapi.VMFromProto(resp.GetVm()).State).To(Equal(hostapi.StateRunning))

	// What it has and this agent has not says nothing about what exists.
	err = conn.Invoke(t.Context(), "/capstan.host.v1.HostAgent/SnapshotVM", &hostpb.GetVMRequest{Id: "vm-1"}, &hostpb.GetVMResponse{})
	g.Expect(status.Code(err)).To(Equal(codes.Unimplemented))
	g.Expect(hostapi.ClassOf(hostapi.ErrorFromStatus("SnapshotVM", err))).To(Equal(hostapi.Transient))
}

func TestAnOlderManagerThatSendsLessIsServed(t *testing.T) {
	g := NewWithT(t)
	host := agenttest.Start(t, agenttest.Options{Driver: agenttest.NewDriver("hv-1")})
	resp, err := hostpb.NewHostAgentClient(connect(t, host)).EnsureVM(t.Context(), &hostpb.EnsureVMRequest{
		Stamp: &hostpb.Stamp{Installation: "here", Id: "vm-1"}, Name: "vm-1", Power: string(hostapi.PowerOff),
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(hostapi.VMFromProto(resp.GetVm()).State).To(Equal(hostapi.StateOff))
}

// otherVersion is an agent that speaks other protocol versions.
type otherVersion struct {
	hostapi.Agent
	speaks []int32
}

func (o otherVersion) Hello(context.Context) (hostapi.Hello, error) {
	return hostapi.Hello{Host: "hv-1", Version: "v9.0.0", Protocols: o.speaks}, nil
}

// serve enrols and serves an agent that is not ours.
func serve(t *testing.T, a hostapi.Agent) *hostclient.Client {
	t.Helper()
	g := NewWithT(t)
	identity, err := pki.OpenAgent(pki.AgentOptions{StateDir: t.TempDir() + "/identity", Now: time.Now})
	g.Expect(err).NotTo(HaveOccurred())
	token := pki.NewToken()
	g.Expect(identity.Arm(token)).To(Succeed())
	server := grpc.NewServer(enrol.ServerOptions(identity)...)
	enrol.Register(server, identity)
	agent.Register(server, a)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)

	manager := agenttest.NewManager(t, time.Now)
	target := hostclient.Target{Address: listener.Addr().String(), Name: "host-1"}
	g.Expect(hostclient.Enrol(t.Context(), target, manager, token, func(_ context.Context, pin pki.Pin) error {
		target.Pin = pin
		return nil
	})).To(Succeed())
	client, err := hostclient.Dial(target, manager)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(client.Close)
	return client
}

func TestAnAgentOfAnotherVersionIsSpokenToIfItSpeaksOurs(t *testing.T) {
	for name, test := range map[string]struct {
		speaks []int32
		want   error
	}{
		"one newer, and ours": {speaks: []int32{1, 2}},
		"newer ones alone":    {speaks: []int32{2, 3}, want: hostapi.ErrNoCommonProtocol},
		"none":                {want: hostapi.ErrNoCommonProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := serve(t, otherVersion{speaks: test.speaks}).Hello(t.Context())
			if test.want == nil {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			expectReason(g, err, test.want)
		})
	}
}
