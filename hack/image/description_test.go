package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

const (
	repository = "../.."
	shipped    = repository + "/images/linux/image.yaml"
)

func TestTheShippedDescriptionSaysWhatIsPinned(t *testing.T) {
	g := NewWithT(t)
	d, err := load(shipped)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(d.pinned(repository)).To(Succeed())
}

func TestDescriptionsThatCannotBeBuiltAreRefused(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"a misspelt field":                {"kubernetes:\n", "kubernets:\n", `unknown field "kubernets"`},
		"a version that is none":          {"version: v1.36.3", "version: latest", "kubernetes.version"},
		"a source that is none":           {"source: modules", "source: registry", "kubernetes.source"},
		"a package name with an option":   {"    - systemd\n", "    - --force-yes\n", `"--force-yes" is no name of a Debian package`},
		"no driver of the disk":           {"hv_storvsc, ", "", "without hv_storvsc a guest of Hyper-V does not find its disk"},
		"an image without a tag":          {"registry.k8s.io/pause:3.10.2", "registry.k8s.io/pause", "registry/name:tag"},
		"two images of one name":          {"registry.k8s.io/pause:3.10.2", "example.com/etcd:3.10.2", "two are called etcd"},
		"a program outside of its image":  {"/usr/local/bin/etcd,", "../etcd,", "no clean absolute path"},
		"a link outside of its image":     {"      /usr/sbin/iptables: ", "      usr/sbin/iptables: ", "no clean absolute path"},
		"an EFI partition too small":      {"efiMiB: 64", "efiMiB: 16", "efiMiB must be 34 at least"},
		"a command in a kernel argument":  {"[console=tty0,", `["$(reboot)",`, "kernelArguments"},
		"a folder for programs, relative": {"install: /opt/cni/bin", "install: opt/cni/bin", "install must be an absolute path"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			text, err := os.ReadFile(shipped)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(text)).To(ContainSubstring(c.from), "the test is out of step with the description")
			file := filepath.Join(t.TempDir(), "image.yaml")
			g.Expect(os.WriteFile(file, []byte(strings.Replace(string(text), c.from, c.to, 1)), 0o600)).To(Succeed())
			_, err = load(file)
			g.Expect(err).To(MatchError(ContainSubstring(c.want)))
		})
	}
}

func TestVersionsThatDifferFromThePinsAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*description)
		want   string
	}{
		"Kubernetes": {
			func(d *description) { d.Kubernetes.Version = "v1.36.2" },
			"the description says k8s.io/kubernetes v1.36.2, but ../../hack/kube/go.mod pins v1.36.3",
		},
		"another module": {
			func(d *description) { d.Modules[0].Version = "v2.0.0" },
			"the description says github.com/containerd/containerd/v2 v2.0.0",
		},
		"a module that is not pinned": {
			func(d *description) { d.Modules[0].Module = "example.com/nothing" },
			"does not require example.com/nothing",
		},
		"the sandbox": {
			func(d *description) { d.ContainerImages[len(d.ContainerImages)-1].Name = "registry.k8s.io/pause:3.9" },
			"does not name registry.k8s.io/pause:3.9 as the sandbox",
		},
		"no sandbox": {
			func(d *description) { d.ContainerImages = nil },
			"no pod could start",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			d, err := load(shipped)
			g.Expect(err).NotTo(HaveOccurred())
			c.change(d)
			g.Expect(d.pinned(repository)).To(MatchError(ContainSubstring(c.want)))
		})
	}
}
