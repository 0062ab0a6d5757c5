package guest_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/console"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/fabric/guest"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// told is what an agent makes of the machine's console.
func (m *machine) told() (hostapi.GuestInit, []string) {
	return console.Read(strings.Split(m.said(), "\n"))
}

func (m *machine) initState() hostapi.InitState {
	init, _ := m.told()
	return init.State
}

func TestAGuestThatFailsSaysWhyAsARealOneDoes(t *testing.T) {
	t.Parallel()
	final := hostapi.GuestInit{State: hostapi.InitFailed, Stage: "modules:final"}
	for name, tc := range map[string]struct {
		fault fabricapi.ImageFault
		alter func(string) string
		init  hostapi.GuestInit
		lines []string
	}{
		"containerd does not start": {
			fault: fabricapi.ImageNoContainerd, init: final,
			lines: []string{
				"^\\[FAILED\\] Failed to start containerd.service - containerd container runtime.",
				"^\\[ERROR CRI\\]: could not connect to the container runtime: .*/run/containerd/containerd.sock: connect: no such file or directory\"$",
				"^error: error execution phase preflight: preflight checks failed$", "^cc_scripts_user.py",
			},
		},
		"its seed is not for kubeadm": {
			alter: func(s string) string { return strings.ReplaceAll(s, "clusterName:", "clusterNmae:") }, init: final,
			lines: []string{"^error execution phase preflight: .*unknown field", "^cc_scripts_user.py", "^Cloud-init v. 22.4.2 finished at "},
		},
		"it has no network": {
			fault: fabricapi.ImageNoNetwork, init: hostapi.GuestInit{State: hostapi.InitRunning, Stage: "init-local"},
			lines: []string{"^Cloud-init v. 22.4.2 running 'init-local' at ", "new instance", "^\\[FAILED\\] Failed to start systemd-networkd.service - Network Configuration.$"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			w := newWorld(t)
			data := string(w.init())
			if tc.alter != nil {
				data = tc.alter(data)
			}
			m := w.machine("node-1").seed([]byte(data))
			w.vip.backends(m)
			m.Machine.Fault = tc.fault
			m.powerOn()
			var want []any
			for _, l := range tc.lines {
				want = append(want, MatchRegexp(l))
			}
			g.Eventually(func(g Gomega) {
				init, lines := m.told()
				g.Expect(init).To(Equal(tc.init))
				g.Expect(lines).To(HaveExactElements(want...))
			}, patient, often).Should(Succeed())
			g.Expect(m.ready()).To(BeFalse())
		})
	}
}

func TestAGuestThatIsUpSaysSo(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	w := newWorld(t)
	m := w.startCluster()
	g.Eventually(m.initState, patient, often).Should(Equal(hostapi.InitDone), m.said)
	g.Expect(m.said()).To(ContainSubstring("ci-info: |  eth0  | True | " + m.address.String()))

	worker := w.machine("worker-1").seed(w.worker()).powerOn()
	g.Eventually(worker.initState, patient, often).Should(Equal(hostapi.InitDone), worker.said)
}

func TestANodeWithoutContainerdAfterARebootIsNotANewMachine(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	w := newWorld(t)
	m := w.startCluster()
	m.powerOff()
	m.Machine.Fault, m.Machine.Seed = fabricapi.ImageNoContainerd, nil
	m.powerOn()
	g.Eventually(m.said, patient, often).Should(ContainSubstring("kubelet: failed to create new CRI runtime service"))
	g.Expect(m.initState()).To(Equal(hostapi.InitUnknown))
	g.Expect(m.phase()).NotTo(Equal(guest.PhaseFailed))
}
