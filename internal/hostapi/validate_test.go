package hostapi_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func ensureRequest() hostapi.EnsureVMRequest {
	return hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: "here", ID: "4be0643f-1d98-573b-97cd-ca98a65347dd"},
		Name:  "node-1", Processors: 2, MemoryMiB: 2048, Power: hostapi.PowerOn,
		Disks: []hostapi.Disk{{Name: "boot", Volume: "csv1", Image: &hostapi.ImageRef{SHA256: strings.Repeat("a", 64)}}},
		NICs:  []hostapi.NIC{{Switch: "vSwitch", MAC: "02:00:00:00:00:01"}},
	}
}

func TestEnsureVMRequestIsValidatedBeforeAHostSeesIt(t *testing.T) {
	cases := map[string]func(*hostapi.EnsureVMRequest){
		"no installation":          func(r *hostapi.EnsureVMRequest) { r.Stamp.Installation = "" },
		"ID that leaves its path":  func(r *hostapi.EnsureVMRequest) { r.Stamp.ID = `..\other` },
		"no name":                  func(r *hostapi.EnsureVMRequest) { r.Name = "" },
		"no processors":            func(r *hostapi.EnsureVMRequest) { r.Processors = 0 },
		"odd memory":               func(r *hostapi.EnsureVMRequest) { r.MemoryMiB = 2049 },
		"no power state":           func(r *hostapi.EnsureVMRequest) { r.Power = "" },
		"seed given and kept":      func(r *hostapi.EnsureVMRequest) { r.Seed, r.KeepSeed = []byte("x"), true },
		"no disks":                 func(r *hostapi.EnsureVMRequest) { r.Disks = nil },
		"two disks of a name":      func(r *hostapi.EnsureVMRequest) { r.Disks = append(r.Disks, r.Disks[0]) },
		"disk name with a slash":   func(r *hostapi.EnsureVMRequest) { r.Disks[0].Name = `a\b` },
		"disk on no volume":        func(r *hostapi.EnsureVMRequest) { r.Disks[0].Volume = "" },
		"empty disk":               func(r *hostapi.EnsureVMRequest) { r.Disks[0].Image = nil },
		"image of no checksum":     func(r *hostapi.EnsureVMRequest) { r.Disks[0].Image = &hostapi.ImageRef{SHA256: "abc"} },
		"MAC in upper case":        func(r *hostapi.EnsureVMRequest) { r.NICs[0].MAC = "02:00:00:00:00:AA" },
		"multicast MAC":            func(r *hostapi.EnsureVMRequest) { r.NICs[0].MAC = "03:00:00:00:00:01" },
		"two NICs of a MAC":        func(r *hostapi.EnsureVMRequest) { r.NICs = append(r.NICs, r.NICs[0]) },
		"NIC on no switch":         func(r *hostapi.EnsureVMRequest) { r.NICs[0].Switch = "" },
		"VLAN that does not exist": func(r *hostapi.EnsureVMRequest) { r.NICs[0].VLAN = 4095 },
	}
	NewWithT(t).Expect(ensureRequest().Validate()).To(Succeed())
	for name, spoil := range cases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			r := ensureRequest()
			spoil(&r)
			err := r.Validate()
			g.Expect(err).To(HaveOccurred())
			g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.InvalidArgument))
		})
	}
}

func TestOtherRequestsAreValidatedBeforeAHostSeesThem(t *testing.T) {
	stamp := ensureRequest().Stamp
	image := hostapi.ImageRef{Name: "linux", SHA256: strings.Repeat("a", 64)}
	cases := map[string]struct {
		request interface{ Validate() error }
		valid   bool
	}{
		"delete":                    {hostapi.DeleteVMRequest{Stamp: stamp}, true},
		"delete of nobody":          {hostapi.DeleteVMRequest{}, false},
		"power":                     {hostapi.SetPowerRequest{Stamp: stamp, Power: hostapi.PowerOff}, true},
		"power of no state":         {hostapi.SetPowerRequest{Stamp: stamp}, false},
		"power in negative time":    {hostapi.SetPowerRequest{Stamp: stamp, Power: hostapi.PowerOff, Timeout: -1}, false},
		"image":                     {hostapi.StageImageRequest{Image: image, Volume: "csv1", Source: "there"}, true},
		"image on no volume":        {hostapi.StageImageRequest{Image: image, Source: "there"}, false},
		"image from nowhere":        {hostapi.StageImageRequest{Image: image, Volume: "csv1"}, false},
		"image without a checksum":  {hostapi.StageImageRequest{Volume: "csv1", Source: "there"}, false},
		"power of an ID with a dot": {hostapi.SetPowerRequest{Stamp: hostapi.Stamp{Installation: "here", ID: "."}, Power: hostapi.PowerOn}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(c.request.Validate() == nil).To(Equal(c.valid))
		})
	}
}
