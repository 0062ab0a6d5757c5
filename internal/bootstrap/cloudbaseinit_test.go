package bootstrap_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
)

// TestCloudbaseInitUnderstandsTheSeed feeds seeds to cloudbase-init's own code,
// where that is to be had (testdata/cloudbaseinit/process.py tells how). What it
// made of them is recorded beside, so that the record can be read without it.
func TestCloudbaseInitUnderstandsTheSeed(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	environment := append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+os.Getenv("CLOUDBASE_INIT_PYTHONPATH"))
	probe := exec.Command(python, "-c", "import cloudbaseinit, oslo_log, netaddr, jinja2")
	probe.Env = environment
	if err := probe.Run(); err != nil {
		t.Skip("python3 has no cloudbaseinit: set CLOUDBASE_INIT_PYTHONPATH")
	}
	for name, with := range map[string][]func(*bootstrap.Input){
		"windows":                nil,
		"windows-with-additions": {withAllWindowsAdditions},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			folder := filepath.Join(t.TempDir(), "seed")
			g.Expect(os.Mkdir(folder, 0o700)).To(Succeed())
			for file, content := range seed(g, windowsMachine(g, with...)) {
				g.Expect(os.WriteFile(filepath.Join(folder, file), content, 0o600)).To(Succeed())
			}
			process := exec.Command(python, "testdata/cloudbaseinit/process.py", folder)
			process.Env = environment
			process.Stderr = os.Stderr
			got, err := process.Output()
			g.Expect(err).NotTo(HaveOccurred())
			golden(g, "cloudbaseinit/"+name+".json", got)
		})
	}
}

// TestRecordOfCloudbaseInitShowsThatNothingIsLost reads the record, so it needs no
// cloudbase-init. It fails where the record does not have what this package relies
// on.
func TestRecordOfCloudbaseInitShowsThatNothingIsLost(t *testing.T) {
	g := NewWithT(t)
	recorded, err := os.ReadFile("testdata/cloudbaseinit/windows-with-additions.json")
	g.Expect(err).NotTo(HaveOccurred())
	var did struct {
		InstanceID string `json:"instance-id"`
		Calls      [][]any
		Files      []struct {
			Path    string
			Content []byte
		}
		Scripts []string
	}
	g.Expect(json.Unmarshal(recorded, &did)).To(Succeed())
	in := windowsMachine(g, withAllWindowsAdditions)
	asked := windowsUserData(g, in)

	g.Expect(did.InstanceID).To(Equal(in.Identity.VM))
	g.Expect(did.Calls).To(ContainElement([]any{"set_host_name", in.Identity.Hostname}))
	g.Expect(did.Calls).To(ContainElement([]any{"rename_network_adapter", "adapter 02:aa:bb:cc:dd:ee", "eth0"}))
	g.Expect(did.Calls).To(ContainElement([]any{"set_network_adapter_mtu", "eth0", 1400.0}))
	g.Expect(did.Calls).To(ContainElement([]any{"set_static_network_config", "eth0", "10.1.2.3", "24", "10.1.2.1", []any{"10.1.0.53"}}))
	g.Expect(did.Calls).To(ContainElement([]any{"set_static_network_config", "eth0", "fd00:1::3", "64", "fd00:1::1", []any{}}))
	g.Expect(did.Calls).To(ContainElement([]any{"set_ntp_client_config", []any{"10.1.0.123", "ntp.example"}}))
	g.Expect(did.Calls).To(ContainElement([]any{"create_user", "ops", "(random)"}))
	g.Expect(did.Calls).To(ContainElement([]any{"add_user_to_local_group", "ops", "Administrators"}))

	g.Expect(did.Files).To(HaveLen(len(asked.WriteFiles)))
	for i, f := range asked.WriteFiles {
		g.Expect(did.Files[i].Path).To(Equal(f.Path))
		g.Expect(did.Files[i].Content).To(Equal(f.Content))
	}
	g.Expect(did.Scripts).To(HaveLen(1))
	lines := strings.Split(strings.TrimSpace(did.Scripts[0]), "\n")
	g.Expect(lines[0]).To(Equal("rem cmd"), "the script is one for cmd.exe")
	g.Expect(lines[1:]).To(Equal(asked.RunCmd))
}
