package main

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmiremote"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// shortDir is a directory whose sockets may be listened on: a test's own has too
// long a name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "fabric")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestBadFlagsAreRefused(t *testing.T) {
	cases := map[string]struct {
		args []string
		err  string
	}{
		"no directory":        {nil, "--dir is needed"},
		"no hosts":            {[]string{"--dir", "d", "--hosts", "0"}, "at least 1"},
		"an argument":         {[]string{"--dir", "d", "now"}, `unknown argument "now"`},
		"negative time":       {[]string{"--dir", "d", "--boot-time", "-1s"}, "negative"},
		"neither on nor off":  {[]string{"--dir", "d", "--keepalived", "maybe"}, `--keepalived is "maybe"`},
		"one without HAProxy": {[]string{"--dir", "d", "--keepalived", "on"}, "no HAProxy, see --haproxy"},
		"a fake Hyper-V of hosts that stand alone": {[]string{"--dir", "d", "--hyperv", "--stand-alone"}, "--stand-alone has none"},
		"no file of topology":                      {[]string{"--dir", "d", "--topology", "/nowhere/t.yaml"}, "/nowhere/t.yaml"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(run(t.Context(), c.args)).To(MatchError(ContainSubstring(c.err)))
		})
	}
}

func TestFabricOfATopologyFileAnswersUntilItIsInterrupted(t *testing.T) {
	g := NewWithT(t)
	dir := shortDir(t)
	file := filepath.Join(dir, "topology.yaml")
	g.Expect(os.WriteFile(file, []byte("hosts:\n- {name: only, processors: 8, memoryMiB: 8192, switches: [s], "+
		"volumes: [{name: v, sizeGiB: 10}]}\n"), 0o600)).To(Succeed())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"--dir", dir, "--topology", file}) }()

	admin := fabricapi.NewAdminClient(fabricapi.UnixTransport(fabric.AdminSocket(dir)))
	g.Eventually(func() ([]fabricapi.Site, error) {
		world, err := admin.World(t.Context())
		return world.Sites, err
	}, "10s").Should(ConsistOf(HaveField("Name", "only")))
	host, err := fabricapi.NewHostClient(fabricapi.UnixTransport(fabric.HostSocket(dir, "only"))).Host(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(host.Processors).To(Equal(int32(8)))
	stop()
	g.Expect(<-ended).To(Succeed())
}

func TestHostsWithAFakeHyperVAnswerByWMI(t *testing.T) {
	g := NewWithT(t)
	dir := shortDir(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx, []string{"--dir", dir, "--hyperv", "--hosts", "2"}) }()

	host := wmiremote.New(fabricapi.UnixTransport(fabric.HostSocket(dir, "hv2")))
	session, err := host.Dial(t.Context(), "")
	g.Expect(err).NotTo(HaveOccurred())
	g.Eventually(func() ([]wmi.Instance, error) {
		return session.Query(t.Context(), wmi.Query{Namespace: wmi.Cluster, Class: "MSCluster_Node", Properties: []string{"Name"}})
	}, "10s").Should(ConsistOf(HaveField("Values", wmi.Values{"Name": "hv1"}), HaveField("Values", wmi.Values{"Name": "hv2"})))
	stop()
	g.Expect(<-ended).To(Succeed())
}

func TestWhereKeepalivedCannotBeThatIsToldInALineAndTheRestGoesOn(t *testing.T) {
	g := NewWithT(t)
	var log bytes.Buffer
	c := config{keepalived: keepalivedAuto, haproxy: "/nowhere/haproxy", pprofAddress: "127.0.0.1:0"}
	network, err := c.enterNetwork(slog.New(slog.NewTextHandler(&log, nil)))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(network).To(BeNil())
	g.Expect(strings.Count(log.String(), "\n")).To(Equal(1))
	g.Expect(log.String()).To(And(
		ContainSubstring("load balancers have no keepalived"), ContainSubstring("/nowhere/haproxy"),
		ContainSubstring("--pprof-bind-address"), ContainSubstring("no agent beside this program"),
	), "everything that is missing")
	if os.Geteuid() != 0 {
		g.Expect(log.String()).To(ContainSubstring("need root"))
	}
}
