package hyperv_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/conformance"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const (
	source     = `\\files.example.org\images\linux.vhdx`
	imageBytes = int64(600 << 20)
	network    = "lan"
)

// host is a host of a world of its own.
type host struct {
	t        *testing.T
	g        *WithT
	world    *wmifake.World
	client   *wmifake.Client
	driver   *hyperv.Driver
	volumes  map[string]string
	image    []byte
	sources  map[string][]byte
	stateDir string
	// opened is at which offsets the source was opened.
	opened []int64
	// patience is how often the driver may look at something again, 0 for ever.
	patience int
}

// standAlone and clustered add what only one kind of host can do.
type (
	standAlone struct{ *host }
	clustered  struct{ *host }
)

func newHost(t *testing.T, cluster string) *host {
	t.Helper()
	return newRecordedHost(t, cluster, nil)
}

func newRecordedHost(t *testing.T, cluster string, recorder *wmifake.Recorder) *host {
	t.Helper()
	h := &host{t: t, g: NewWithT(t), image: wmifake.Image(imageBytes, strings.Repeat("x", 600)), stateDir: `C:\ProgramData\Capstan`}
	h.sources = map[string][]byte{source: h.image}
	options := wmifake.Options{
		Nodes: []string{"HV1"}, Switches: []string{network}, Processors: 8, MemoryMiB: 32768, VolumeBytes: 100 << 30, Cluster: cluster,
		Recorder: recorder,
	}
	if cluster == "" {
		h.volumes = map[string]string{"csv1": `D:\`, "csv2": `E:\`}
	} else {
		options.Nodes = append(options.Nodes, "HV2")
		h.volumes = map[string]string{"csv1": `C:\ClusterStorage\csv1`, "csv2": `C:\ClusterStorage\csv2`}
	}
	options.Volumes = []string{h.volumes["csv1"], h.volumes["csv2"]}
	h.world = wmifake.New(t, options)
	h.Restart()
	return h
}

// Open implements hyperv.Sources.
func (h *host) Open(_ context.Context, source string, offset int64) (io.ReadCloser, int64, error) {
	h.opened = append(h.opened, offset)
	content, ok := h.sources[source]
	if !ok {
		return nil, 0, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(content[min(offset, int64(len(content))):])), int64(len(content)), nil
}

func (h *host) open(client *wmifake.Client, name string) *hyperv.Driver {
	driver, err := hyperv.New(h.t.Context(), hyperv.Options{
		Host: name, StateDir: h.stateDir, Volumes: h.volumes, WMI: client, Files: client.Files(), Sources: h,
		Pause: h.pause, Piece: 256,
	})
	h.g.Expect(err).NotTo(HaveOccurred())
	return driver
}

func (h *host) pause(ctx context.Context) error {
	if h.patience--; h.patience == 0 {
		return context.DeadlineExceeded
	}
	return ctx.Err()
}

func (h *host) Driver() hostapi.Driver { return h.driver }

func (h *host) Restart() {
	h.client = h.world.Client("HV1")
	h.driver = h.open(h.client, "HV1")
	h.client.Reset()
}

func (h *host) Calls() int       { return h.client.Count() }
func (h *host) CrashAfter(n int) { h.client.CrashAfter(n) }

func (h *host) Site() conformance.Site {
	return conformance.Site{
		Volumes: []string{"csv1", "csv2"}, Switch: network, Source: source, Bytes: imageBytes,
		Image: hostapi.ImageRef{Name: "linux-v1.36.3", SHA256: fmt.Sprintf("%x", sha256.Sum256(h.image))},
	}
}

func (h *host) AwaitGuest(id hostapi.VMID) {
	h.g.Expect(h.world.VMs(string(id))).To(Equal(1))
	h.world.Boot(string(id))
}

// node is what a claim says of who defines the VM.
var node = regexp.MustCompile(`"node":"[^"]*"`)

func (h *host) Contents() []string {
	lines := h.world.Contents()
	for i := range lines {
		lines[i] = node.ReplaceAllString(lines[i], "")
	}
	return lines
}

func (h *host) AddForeignVM(name string) { h.world.AddVM("HV1", name) }

func (h *host) disk(id hostapi.VMID, disk hostapi.Disk) string {
	return strings.TrimSuffix(h.volumes[disk.Volume], `\`) + `\capstan\vms\` + string(id) + `\` + disk.Name + ".vhdx"
}

func (h *host) AddForeignDisk(id hostapi.VMID, disk hostapi.Disk) {
	h.g.Expect(h.world.AddDisk(h.disk(id, disk))).To(Succeed())
}

func (h *host) RemoveVM(id hostapi.VMID) { h.world.RemoveVM(string(id)) }

func (h *host) RemoveDisk(id hostapi.VMID, disk hostapi.Disk) { h.world.RemoveFile(h.disk(id, disk)) }

func (h *host) FillVolume(volume string)  { h.world.FillVolume(h.volumes[volume], 0) }
func (h *host) EmptyVolume(volume string) { h.world.EmptyVolume(h.volumes[volume]) }
func (h *host) FaultVolume(volume string) { h.world.FaultVolume(h.volumes[volume], true) }
func (h *host) ClearVolume(volume string) { h.world.FaultVolume(h.volumes[volume], false) }

func (h *host) Deafen(id hostapi.VMID) { h.world.Deafen(string(id)) }

func (h *host) SetReachable(reachable bool) { h.client.SetReachable(reachable) }

func (h *host) SpoilSource() {
	spoilt := bytes.Clone(h.image)
	spoilt[len(spoilt)-1] = 'y'
	h.sources[source] = spoilt
}

func (h standAlone) Lacks() map[conformance.Ability]string {
	return map[conformance.Ability]string{conformance.CanClusterHosts: "the host stands alone"}
}

func (h standAlone) PowerCycle() { h.world.PowerCycle("HV1") }

func (h clustered) Lacks() map[conformance.Ability]string {
	return map[conformance.Ability]string{conformance.CanRunStandAlone: "the host is in a failover cluster, which restarts VMs"}
}

func (h clustered) Peer() hostapi.Driver { return h.open(h.world.Client("HV2"), "HV2") }

func (h clustered) Isolate(isolated bool) { h.world.Isolate("HV1", isolated) }
func (h clustered) LoseNode()             { h.world.LoseNode("HV1") }
func (h clustered) FailOver()             { h.world.FailOver() }
