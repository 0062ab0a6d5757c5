package windows_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"testing"

	. "github.com/onsi/gomega"
)

// TestCloudbaseInitUnderstandsItsConfiguration feeds it to cloudbase-init's own
// code, where that is to be had (internal/bootstrap/testdata/cloudbaseinit tells
// how). An option that it does not know it passes over in silence.
func TestCloudbaseInitUnderstandsItsConfiguration(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	environment := append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH="+os.Getenv("CLOUDBASE_INIT_PYTHONPATH"))
	probe := exec.Command(python, "-c", "import cloudbaseinit, oslo_config, netaddr")
	probe.Env = environment
	if err := probe.Run(); err != nil {
		t.Skip("python3 has no cloudbaseinit: set CLOUDBASE_INIT_PYTHONPATH")
	}
	g := NewWithT(t)
	reading := exec.Command(python, "testdata/configuration.py", "files/cloudbase-init.conf")
	reading.Env = environment
	out, err := reading.Output()
	g.Expect(err).NotTo(HaveOccurred())
	var read struct {
		Plugins, Services, Types, Locations []string
		Wider, Reboots, Debug               bool
		Serial, Log                         string
	}
	g.Expect(json.Unmarshal(out, &read)).To(Succeed())
	g.Expect(read.Plugins).To(Equal([]string{"SetHostNamePlugin", "NetworkConfigPlugin", "ExtendVolumesPlugin", "UserDataPlugin"}))
	g.Expect(read.Services).To(Equal([]string{"NoCloudConfigDriveService"}))
	g.Expect([][]string{read.Types, read.Locations}).To(Equal([][]string{{"iso"}, {"cdrom"}}))
	g.Expect(read.Wider || read.Debug || !read.Reboots).To(BeFalse())
	g.Expect(read.Serial).To(Equal("COM1,115200,N,8"))
	g.Expect(read.Log).To(Equal(`C:\Program Files\Cloudbase Solutions\Cloudbase-Init\log\cloudbase-init.log`))
}
