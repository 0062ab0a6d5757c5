package guest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/fabric/guest"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestAGuestFailsWhereARealOneWould(t *testing.T) {
	t.Parallel()
	replace := func(old, replacement string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				panic(fmt.Sprintf("the user data has no %q", old))
			}
			return strings.ReplaceAll(s, old, replacement)
		}
	}
	const runInit = "kubeadm init --config /run/kubeadm/kubeadm.yaml"
	for _, tc := range []struct {
		name    string
		worker  bool
		alter   func(string) string
		machine func(*guest.Machine)
		want    string
	}{
		{name: "an unknown way to run kubeadm", alter: replace(runInit, "kubeadm init --upload-certs"), want: "in a way that is not known"},
		{name: "kubeadm without its marker of success", alter: replace("bootstrap-success.complete'", "done'"), want: "in a way that is not known"},
		{name: "kubeadm with a file that nobody writes", alter: replace(runInit, "kubeadm init --config /run/kubeadm/other.yaml"), want: "is not written by the seed"},
		{name: "no key of the cluster's CA", alter: replace("/etc/kubernetes/pki/ca.key", "/tmp/ca.key"), want: "/etc/kubernetes/pki/ca.key is missing"},
		{name: "no etcd CA", alter: replace("/etc/kubernetes/pki/etcd/ca.crt", "/tmp/ca.crt"), want: "/etc/kubernetes/pki/etcd/ca.crt is missing"},
		{name: "no service account key", alter: replace("/etc/kubernetes/pki/sa.key", "/tmp/sa.key"), want: "sa.key is missing"},
		{name: "a key that belongs to another CA", alter: func(s string) string {
			return strings.NewReplacer("pki/etcd/ca.key", "pki/ca.key", "pki/ca.key", "pki/etcd/ca.key").Replace(s)
		}, want: "does not belong to"},
		{name: "a misspelt field for kubeadm", alter: replace("clusterName:", "clusterNmae:"), want: "unknown field"},
		{name: "an old kubeadm API", alter: replace("kubeadm.k8s.io/v1beta4", "kubeadm.k8s.io/v1beta2"), want: "must be kubeadm.k8s.io/v1beta4"},
		{name: "jinja that cloud-init does not know", alter: replace("ds.meta_data.instance_id", "ds.meta_data.uuid"), want: `"ds.meta_data.uuid" is not known`},
		{name: "a label that a node may not give itself", alter: replace("example.com/pool", "node-role.kubernetes.io/worker"), want: "unknown 'kubernetes.io' or 'k8s.io' label"},
		{name: "an image of another minor version", machine: func(m *guest.Machine) { m.KubernetesVersion = "v1.35.1" }, want: "does not fit"},
		{name: "another machine's seed", machine: func(m *guest.Machine) { m.MACs = []string{"02:00:00:00:00:01"} }, want: "no adapter of this machine"},
		{name: "a container runtime of Windows", alter: replace("nodeRegistration:\n", "nodeRegistration:\n        criSocket: npipe:////./pipe/containerd-containerd\n"), want: "is for Windows"},
		{name: "no disk", machine: func(m *guest.Machine) { m.DiskDir = "" }, want: "no bootable disk"},
		{name: "a token that is none", worker: true, alter: replace(token, "secret"), want: "is not a bootstrap token"},
		{name: "no pin", worker: true, alter: func(s string) string {
			head, _, _ := strings.Cut(s, "caCertHashes:")
			_, tail, _ := strings.Cut(s, "token: "+token)
			return head + "token: " + token + tail
		}, want: "could be anybody's"},
		{name: "control plane and worker at once", worker: true, alter: replace("kind: JoinConfiguration", "kind: JoinConfiguration\n      controlPlane: {}"), want: "is missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			w := newWorld(t)
			data := w.init()
			if tc.worker {
				data = w.worker()
			}
			if tc.alter != nil {
				data = []byte(tc.alter(string(data)))
			}
			m := w.machine("node-1").seed(data)
			w.vip.backends(m)
			if tc.machine != nil {
				tc.machine(&m.Machine)
			}
			m.powerOn()
			g.Eventually(m.phase, patient, often).Should(Equal(guest.PhaseFailed), m.said)
			g.Expect(m.said()).To(ContainSubstring(tc.want))
			g.Expect(m.ready()).To(BeFalse())
			g.Expect(m.said()).NotTo(ContainSubstring("PRIVATE KEY"))
			g.Expect(m.said()).NotTo(ContainSubstring(token))
		})
	}
}

func TestAWorkerWaitsForItsCluster(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	worker := w.machine("worker-1").seed(w.worker()).powerOn()
	g.Eventually(worker.said, patient, often).Should(ContainSubstring("kubeadm join: read cluster-info"))
	g.Expect(worker.phase()).To(Equal(guest.PhaseInitialising))
	w.startCluster()
	g.Eventually(worker.ready, patient, often).Should(BeTrue(), worker.said)
}

func TestAWorkerJoinsOnlyTheClusterItKnows(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.startCluster()
	// Another cluster, whose CA the worker's pin does not fit.
	other := newWorld(t)
	data := strings.ReplaceAll(string(other.worker()), other.vip.at.String(), w.vip.at.String())
	m := w.machine("stranger").seed([]byte(data)).powerOn()
	g.Eventually(m.phase, patient, often).Should(Equal(guest.PhaseFailed), m.said)
	g.Expect(m.said()).To(ContainSubstring("is not pinned"))
}

func TestAWorkerWithAnUnknownTokenStaysOutside(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.startCluster()
	data := strings.ReplaceAll(string(w.worker()), token, "zzzzzz.0123456789abcdef")
	m := w.machine("late").seed([]byte(data)).powerOn()
	g.Eventually(m.said, patient, often).Should(ContainSubstring(`token id "zzzzzz" is invalid for this cluster or it has expired`))
	g.Expect(m.phase()).To(Equal(guest.PhaseInitialising))
}

func TestALoadBalancerSeedStartsALoadBalancer(t *testing.T) {
	g := NewWithT(t)
	var running atomic.Int32
	var got lbapi.LBConfig
	w := newWorld(t, func(o *guest.Options) {
		o.LoadBalancer = func(_ context.Context, _ guest.Machine, _ []guest.NIC, c lbapi.LBConfig) (guest.Cable, error) {
			got = c
			running.Add(1)
			return guest.NoCable{Stop: func() { running.Add(-1) }}, nil
		}
	})
	m := w.machine("lb-1")
	config := lbapi.LBConfig{Name: "lb-1", Listen: m.address.String() + ":9443", EnrolmentToken: "sesame"}
	m.seed(nil, loadBalancer(g, config)).powerOn()
	g.Eventually(m.ready, patient, often).Should(BeTrue(), m.said)
	g.Expect(got).To(Equal(config))
	g.Expect(m.said()).NotTo(ContainSubstring("sesame"))
	m.powerOff()
	g.Expect(running.Load()).To(BeZero())
}

func TestALoadBalancerFailsWithAWrongSeed(t *testing.T) {
	for _, tc := range []struct {
		name, listen string
		hook         guest.LoadBalancer
		want         string
	}{
		{"an address of another machine", "127.0.0.9:9443", func(context.Context, guest.Machine, []guest.NIC, lbapi.LBConfig) (guest.Cable, error) {
			return nil, errors.New("must not be called")
		}, "not an address of this machine"},
		{"an image without the program", "", nil, "not in this image"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			w := newWorld(t, func(o *guest.Options) { o.LoadBalancer = tc.hook })
			m := w.machine("lb-1")
			if tc.listen == "" {
				tc.listen = m.address.String() + ":9443"
			}
			m.seed(nil, loadBalancer(g, lbapi.LBConfig{Name: "lb-1", Listen: tc.listen, EnrolmentToken: "x"})).powerOn()
			g.Eventually(m.phase, patient, often).Should(Equal(guest.PhaseFailed))
			g.Expect(m.said()).To(ContainSubstring(tc.want))
		})
	}
}

func loadBalancer(g *WithT, c lbapi.LBConfig) func(*bootstrap.Input) {
	data, err := c.Marshal()
	g.Expect(err).NotTo(HaveOccurred())
	return func(in *bootstrap.Input) { in.LoadBalancer = &bootstrap.LoadBalancer{Config: data} }
}
