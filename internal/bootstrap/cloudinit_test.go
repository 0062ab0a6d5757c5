package bootstrap_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
)

// TestCloudInitUnderstandsTheSeed feeds seeds to cloud-init's own code, where
// that is to be had (testdata/cloudinit/process.py tells how). What it made of
// them is recorded beside, so that the record can be read without it.
func TestCloudInitUnderstandsTheSeed(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	environment := append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+os.Getenv("CLOUD_INIT_PYTHONPATH"))
	probe := exec.Command(python, "-c", "import cloudinit, jinja2")
	probe.Env = environment
	if err := probe.Run(); err != nil {
		t.Skip("python3 has no cloudinit: set CLOUD_INIT_PYTHONPATH")
	}
	for _, tc := range []struct {
		name string
		in   bootstrap.Input
	}{
		{"machine", machine()},
		{"machine-with-additions", machine(withAllAdditions)},
		{"load-balancer", machine(balancer)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			folder := filepath.Join(t.TempDir(), "seed")
			g.Expect(os.Mkdir(folder, 0o700)).To(Succeed())
			for name, content := range seed(g, tc.in) {
				g.Expect(os.WriteFile(filepath.Join(folder, name), content, 0o600)).To(Succeed())
			}
			process := exec.Command(python, "testdata/cloudinit/process.py", folder, "netplan", "networkd", "eni")
			process.Env = environment
			process.Stderr = os.Stderr
			got, err := process.Output()
			g.Expect(err).NotTo(HaveOccurred())
			golden(g, "cloudinit/"+tc.name+".json", got)
		})
	}
}

// TestRecordOfCloudInitShowsThatNothingIsLost reads the record, so it needs no
// cloud-init. It fails where the record does not have what this package relies
// on.
func TestRecordOfCloudInitShowsThatNothingIsLost(t *testing.T) {
	g := NewWithT(t)
	recorded, err := os.ReadFile("testdata/cloudinit/machine-with-additions.json")
	g.Expect(err).NotTo(HaveOccurred())
	var record struct {
		InstanceID string `json:"instance-id"`
		Hostname   string
		Config     struct {
			WriteFiles []struct{ Path, Content string } `json:"write_files"`
			RunCmd     []any                            `json:"runcmd"`
			NTP        struct{ Servers []string }
			Users      []struct{ Name string }
		}
	}
	g.Expect(json.Unmarshal(recorded, &record)).To(Succeed())
	in := machine(withAllAdditions)
	g.Expect(record.InstanceID).To(Equal(in.Identity.VM))
	g.Expect(record.Hostname).To(Equal(in.Identity.Hostname))

	files := map[string]string{}
	for _, f := range record.Config.WriteFiles {
		files[f.Path] = f.Content
	}
	g.Expect(files).To(HaveKey("/etc/issue"), "ours")
	g.Expect(files).To(HaveKeyWithValue("/run/kubeadm/kubeadm.yaml", And(
		ContainSubstring(`value: "hyperv://`+in.Identity.VM+`"`), ContainSubstring("name: "+in.Identity.Hostname))), "theirs, rendered")
	g.Expect(files).To(HaveKeyWithValue("/etc/motd", "Grüße, 世界"))
	g.Expect(record.Config.RunCmd).To(HaveLen(3))
	g.Expect(record.Config.RunCmd[2]).To(Equal("kubeadm init --config /run/kubeadm/kubeadm.yaml"), "theirs after ours")
	g.Expect(record.Config.NTP.Servers).To(Equal([]string{"10.1.0.123", "ntp.example", "ntp.user.example"}))
	g.Expect(record.Config.Users).To(HaveLen(2))
}
