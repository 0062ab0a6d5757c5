package guest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/cloudinit"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/bootstrap/iso9660"
	"github.com/capstan-k8s/capstan/internal/fabric/guest"
)

func onWindows(in *bootstrap.Input) { in.OS = bootstrap.Windows }

// windows is a machine whose image is of Windows.
func (w *world) windows(name string) *machine {
	m := w.machine(name)
	m.Machine.OS = "Windows"
	return m
}

// windowsWorker is the user data of a worker, as the manager's templates have it
// written for Windows.
func (w *world) windowsWorker() []byte {
	data, err := cloudinit.NewNode(&cloudinit.NodeInput{
		BaseUserData: cloudinit.BaseUserData{PostKubeadmCommands: []string{"sc.exe config kubelet start= auto"}},
		JoinConfiguration: w.joinConfiguration(false, func(c *bootstrapv1.JoinConfiguration) {
			c.NodeRegistration.CRISocket = "npipe:////./pipe/containerd-containerd"
			c.NodeRegistration.Taints = &[]corev1.Taint{{Key: "os", Value: "windows", Effect: corev1.TaintEffectNoSchedule}}
		}),
	})
	NewWithT(w.t).Expect(err).NotTo(HaveOccurred())
	return data
}

func TestAWindowsMachineJoins(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.startCluster()
	m := w.windows("shop-win-x7k2p").seed(w.windowsWorker(), onWindows).powerOn()
	g.Eventually(m.ready, patient, often).Should(BeTrue(), m.said)

	node, err := w.admin(w.vip.at).CoreV1().Nodes().Get(context.Background(), "shop-win-x7k2p", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(node.Spec.ProviderID).To(Equal("hyperv://" + m.id))
	g.Expect(node.Labels).To(And(
		HaveKeyWithValue("kubernetes.io/os", "windows"), HaveKeyWithValue("kubernetes.io/arch", "amd64"),
		HaveKeyWithValue("kubernetes.io/hostname", "shop-win-x7k2p"), HaveKeyWithValue("node.kubernetes.io/windows-build", "10.0.20348"),
		HaveKeyWithValue("example.com/pool", "blue"),
	))
	g.Expect(node.Spec.Taints).To(ContainElement(corev1.Taint{Key: "os", Value: "windows", Effect: corev1.TaintEffectNoSchedule}))
	g.Expect(node.Status.NodeInfo.OperatingSystem).To(Equal("windows"))
	g.Expect(node.Status.NodeInfo.OSImage).To(HavePrefix("Windows Server"))
	g.Expect(node.Status.NodeInfo.KubeletVersion).To(Equal(version))
}

func TestAWindowsMachineComesUpAgainWithoutItsSeed(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.startCluster()
	m := w.windows("shop-win-x7k2p").seed(w.windowsWorker(), onWindows).powerOn()
	g.Eventually(m.ready, patient, often).Should(BeTrue(), m.said)
	m.powerOff()
	m.Machine.Seed = nil
	m.powerOn()
	g.Eventually(m.ready, patient, often).Should(BeTrue(), m.said)
	g.Expect(m.said()).To(ContainSubstring("cloudbase-init: no data source, keeping instance " + m.id))
}

func TestAKubeletThatNobodyStartsStaysDown(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	w.startCluster()
	data := strings.Replace(string(w.windowsWorker()), "sc.exe config kubelet start= auto", "hostname", 1)
	m := w.windows("shop-win-x7k2p").seed([]byte(data), onWindows).powerOn()
	g.Eventually(m.ready, patient, often).Should(BeTrue(), m.said)
	m.powerOff()
	m.powerOn()
	g.Eventually(m.phase, patient, often).Should(Equal(guest.PhaseFailed))
	g.Expect(m.said()).To(ContainSubstring("kubelet: the service is not set to start with the machine"))
}

// altered is a seed one of whose files was changed by hand.
func altered(g *WithT, seed []byte, name string, change func(string) string) []byte {
	disc, err := iso9660.Read(seed, 1<<20)
	g.Expect(err).NotTo(HaveOccurred())
	var files []iso9660.File
	for file, content := range disc.Files {
		if file == name {
			content = []byte(change(string(content)))
		}
		files = append(files, iso9660.File{Name: file, Content: content})
	}
	image, err := iso9660.Image(disc.Label, files)
	g.Expect(err).NotTo(HaveOccurred())
	return image
}

func TestAWindowsGuestFailsWhereARealOneWould(t *testing.T) {
	t.Parallel()
	replace := func(old, replacement string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				panic(fmt.Sprintf("there is no %q in %s", old, s))
			}
			return strings.ReplaceAll(s, old, replacement)
		}
	}
	const config = `C:\\run\\kubeadm\\kubeadm-join-config.yaml`
	for _, tc := range []struct {
		name string
		// data changes what Cluster API wrote, file what is on the disk.
		data func(string) string
		file string
		disk func(string) string
		want string
	}{
		{name: "a path without its drive", file: "user-data", disk: replace(`"`+config, `"\\run\\kubeadm\\kubeadm-join-config.yaml`), want: "is not an absolute path with a drive"},
		{name: "a path of Linux", file: "user-data", disk: replace(`"`+config, `"/run/kubeadm/kubeadm-join-config.yaml`), want: "is not an absolute path with a drive"},
		{name: "the command of Linux", file: "user-data", disk: replace("--config "+config, "--config /run/kubeadm/kubeadm-join-config.yaml"), want: "in a way that is not known on Windows"},
		{name: "a file that nobody writes", file: "user-data", disk: replace("--config "+config, `--config C:\\k\\join.yaml`), want: "it is not written by the seed"},
		{name: "no folder for the marker", file: "user-data", disk: replace(`C:\\run\\cluster-api\\placeholder`, `C:\\run\\placeholder`), want: `nothing makes the folder C:\run\cluster-api\`},
		{name: "an owner", file: "user-data", disk: replace(`"encoding"`, `"owner": "root:root", "encoding"`), want: "a field that cloudbase-init does not know"},
		{name: "a key that is not heeded", file: "user-data", disk: replace(`"runcmd"`, `"bootcmd": [], "runcmd"`), want: `does not know the cloud-config key "bootcmd"`},
		{name: "a first line that is none", file: "user-data", disk: replace("#cloud-config\n", "\n#cloud-config\n"), want: "does not begin with"},
		{name: "an archive", file: "user-data", disk: func(s string) string {
			return "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\n\n--x\nContent-Type: text/cloud-config\n\n" + s + "\n--x--\n"
		}, want: "neither renders nor merges"},
		{name: "a name that is cut off", file: "meta-data", disk: replace("shop-win-x7k2p", "shop-windows-x7k2p"), want: `the computer would be called "shop-windows-x7"`},
		{name: "another machine's adapter", file: "network-config", disk: replace(`"mac_address": "02`, `"mac_address": "06`), want: "no adapter of this machine has the MAC address"},
		{name: "an address without its prefix", file: "network-config", disk: replace("/24", ""), want: "prefix length"},
		{name: "a gateway elsewhere", file: "network-config", disk: replace(`"gateway": "127.`, `"gateway": "126.`), want: "is not in the subnet"},
		{name: "a misspelt field", file: "network-config", disk: replace(`"gateway"`, `"gatway"`), want: "unknown field"},
		{name: "two gateways in version 2", file: "network-config", disk: func(string) string {
			return `{"version": 2, "ethernets": {"eth0": {"gateway4": "10.0.0.1", "gateway6": "fd00::1"}}}`
		}, want: "gives gateway6 to all addresses"},
		{name: "a socket of Linux", data: replace("npipe:////./pipe/containerd-containerd", "unix:///run/containerd/containerd.sock"), want: "is not a named pipe"},
		{name: "a node that is called otherwise", data: replace("{{ ds.meta_data.local_hostname }}", "other"), want: `nodeRegistration.name "other" is not the computer name`},
		{name: "a control plane", data: replace("kind: JoinConfiguration", "kind: JoinConfiguration\n      controlPlane: {}"), want: "whether this is a control-plane machine"},
		{name: "a token that is none", data: replace(token, "secret"), want: "is not a bootstrap token"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := NewWithT(t)
			w := newWorld(t)
			data := string(w.windowsWorker())
			if tc.data != nil {
				data = tc.data(data)
			}
			m := w.windows("shop-win-x7k2p").seed([]byte(data), onWindows)
			if tc.disk != nil {
				m.Machine.Seed = altered(g, m.Machine.Seed, tc.file, tc.disk)
			}
			m.powerOn()
			g.Eventually(m.phase, patient, often).Should(Equal(guest.PhaseFailed), m.said)
			g.Expect(m.said()).To(ContainSubstring(tc.want))
			g.Expect(m.said()).NotTo(ContainSubstring(token))
		})
	}
}

func TestASeedIsForItsSystemAlone(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	inWindows := w.windows("shop-linux").seed(w.worker()).powerOn()
	g.Eventually(inWindows.phase, patient, often).Should(Equal(guest.PhaseFailed))
	g.Expect(inWindows.said()).To(ContainSubstring("text/jinja2, for which cloudbase-init has no plugin: is this the seed of a Linux machine?"))

	inLinux := w.machine("shop-win").seed(w.windowsWorker(), onWindows).powerOn()
	g.Eventually(inLinux.phase, patient, often).Should(Equal(guest.PhaseFailed))
	g.Expect(inLinux.said()).To(ContainSubstring("cloud-init: network-config: "))

	unknown := w.machine("shop-plan9")
	unknown.Machine.OS = "Plan9"
	unknown.powerOn()
	g.Eventually(unknown.phase, patient, often).Should(Equal(guest.PhaseFailed))
	g.Expect(unknown.said()).To(ContainSubstring(`guests of OS "Plan9" are not simulated`))
}
