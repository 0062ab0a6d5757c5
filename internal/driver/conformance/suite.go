package conformance

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Run runs the whole suite. newHost makes a fresh host each time.
func Run(t *testing.T, newHost func(t *testing.T) Host) {
	t.Helper()
	s := &suite{newHost: newHost}
	for _, theme := range []struct {
		name string
		run  func(*suite, *testing.T)
	}{
		{"inventory", (*suite).inventory},
		{"images", (*suite).images},
		{"create", (*suite).create},
		{"refusals", (*suite).refusals},
		{"change", (*suite).change},
		{"seeds", (*suite).seeds},
		{"power", (*suite).power},
		{"delete", (*suite).deletion},
		{"ownership", (*suite).ownership},
		{"faults", (*suite).faults},
		{"failover cluster", (*suite).cluster},
		{"crash points", (*suite).crashes},
	} {
		t.Run(theme.name, func(t *testing.T) { theme.run(s, t) })
	}
	t.Logf("conformance: %d cases, %d crash points", s.cases.Load(), s.points.Load())
}

type suite struct {
	newHost func(t *testing.T) Host
	// cases and points are how much was run, crash points apart.
	cases, points atomic.Int64
}

// run runs a case on a fresh host.
func (s *suite) run(t *testing.T, name string, f func(*bench)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		s.cases.Add(1)
		f(s.bench(t))
	})
}

func (s *suite) bench(t *testing.T) *bench {
	t.Helper()
	return &bench{Gomega: NewWithT(t), Host: s.newHost(t), t: t}
}

// bench is a host and what cases do with it.
type bench struct {
	Gomega
	Host
	t *testing.T
}

const (
	installation = "5f0c7f5c-conformance"
	gib          = int64(1) << 30
)

// vmID returns the ID of a VM, by a number.
func vmID(n int) hostapi.VMID {
	return hostapi.VMID(fmt.Sprintf("0f6e4c1a-0000-4000-8000-%012d", n))
}

func stamp(n int) hostapi.Stamp { return hostapi.Stamp{Installation: installation, ID: vmID(n)} }

// request is a VM with a boot disk of the image, a data disk on another volume,
// a NIC and a seed, switched on.
func (b *bench) request(n int) hostapi.EnsureVMRequest {
	site := b.Site()
	image := site.Image
	return hostapi.EnsureVMRequest{
		Stamp: stamp(n), Name: fmt.Sprintf("node-%d", n), Owner: "default/node", OS: hostapi.Linux,
		Processors: 2, MemoryMiB: 2048,
		Disks: []hostapi.Disk{
			{Name: "boot", Volume: site.Volumes[0], Bytes: site.Bytes + gib, Image: &image},
			{Name: "data", Volume: site.Volumes[1], Bytes: gib},
		},
		NICs:  []hostapi.NIC{{Switch: site.Switch, VLAN: 7, MAC: hostapi.MACAddress(vmID(n), 0)}},
		Seed:  []byte("seed of the VM"),
		Power: hostapi.PowerOn,
	}
}

// ready stages the image where requests want it.
func (b *bench) ready() *bench {
	b.t.Helper()
	b.stage(b.Site().Volumes[0])
	return b
}

func (b *bench) stage(volume string) hostapi.Image {
	b.t.Helper()
	image, err := b.Driver().StageImage(b.t.Context(), b.stageRequest(volume))
	b.Expect(err).NotTo(HaveOccurred())
	return image
}

func (b *bench) stageRequest(volume string) hostapi.StageImageRequest {
	return hostapi.StageImageRequest{Image: b.Site().Image, Volume: volume, Source: b.Site().Source}
}

func (b *bench) ensure(req hostapi.EnsureVMRequest) hostapi.VM {
	b.t.Helper()
	vm, err := b.Driver().EnsureVM(b.t.Context(), req)
	b.Expect(err).NotTo(HaveOccurred())
	return vm
}

func (b *bench) tryEnsure(req hostapi.EnsureVMRequest) error {
	b.t.Helper()
	_, err := b.Driver().EnsureVM(b.t.Context(), req)
	return err
}

func (b *bench) get(n int) hostapi.VM {
	b.t.Helper()
	vm, err := b.Driver().GetVM(b.t.Context(), vmID(n))
	b.Expect(err).NotTo(HaveOccurred())
	return vm
}

func (b *bench) list() []hostapi.VM {
	b.t.Helper()
	vms, err := b.Driver().ListVMs(b.t.Context())
	b.Expect(err).NotTo(HaveOccurred())
	return vms
}

// destroy deletes a VM until it is gone.
func (b *bench) destroy(n int) {
	b.t.Helper()
	b.Expect(destroyed(b.t.Context(), b.Driver(), n)).To(Succeed())
}

// deletions is how often a delete is called again before it counts as stuck.
const deletions = 10

func destroyed(ctx context.Context, d hostapi.Driver, n int) error {
	for range deletions {
		err := d.DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: stamp(n)})
		if hostapi.Is(err, hostapi.NotFound) {
			_, err = d.GetVM(ctx, vmID(n))
			if !hostapi.Is(err, hostapi.NotFound) {
				return fmt.Errorf("DeleteVM says NotFound, GetVM says %w", errors.Join(err, errors.New("that it is there")))
			}
			return nil
		}
		if err != nil {
			return err
		}
	}
	return fmt.Errorf("VM %s is still there after %d deletions", vmID(n), deletions)
}

// of matches an error of a class that names a resource, empty for any.
func of(class hostapi.Class, resource string) types.GomegaMatcher {
	return And(
		WithTransform(hostapi.ClassOf, Equal(class)),
		WithTransform(func(err error) string {
			var e *hostapi.Error
			if resource == "" || !errors.As(err, &e) {
				return resource
			}
			return e.Resource
		}, Equal(resource)),
		Satisfy(typed),
	)
}

// typed tells whether an error has a class of its own and a message.
func typed(err error) bool {
	var e *hostapi.Error
	return errors.As(err, &e) && e.Op != "" && strings.TrimSpace(e.Message) != ""
}
