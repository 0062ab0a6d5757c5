package machinectr_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/conformance"
	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// needsMachine leaves a test out where no container can be started, and fails it
// where one could be if the machine had its packages.
func needsMachine(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("this needs root: it mounts file systems, makes namespaces, control groups and network interfaces, and runs systemd-nspawn")
	}
	for _, program := range []string{"systemd-nspawn", "mksquashfs"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%v: run hack/packages.sh machinectr, which installs what machine containers need", err)
		}
	}
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	out, err := cmd.CombinedOutput()
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), "%s %v: %s", name, args, out)
	return string(out)
}

// smallImage is made once: a root file system whose init does nothing.
var smallImage = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "machinectr-image")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	tree := filepath.Join(dir, "tree")
	for _, folder := range []string{"etc", "usr/lib", "sbin", "var/lib/kubelet"} {
		if err := os.MkdirAll(filepath.Join(tree, folder), 0o755); err != nil {
			return nil, err
		}
	}
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", filepath.Join(tree, "sbin", "init"), "./testdata/init")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=")
	pack := exec.Command("mksquashfs", tree, filepath.Join(dir, "image"), "-quiet", "-no-progress", "-comp", "lz4")
	err = os.WriteFile(filepath.Join(tree, "etc", "os-release"), []byte("ID=nothing\n"), 0o600)
	for _, cmd := range []*exec.Cmd{build, pack} {
		if out, runErr := cmd.CombinedOutput(); runErr != nil {
			err = errors.Join(err, fmt.Errorf("%v: %w: %s", cmd.Args, runErr, out))
		}
	}
	if err != nil {
		return nil, err
	}
	return os.ReadFile(filepath.Join(dir, "image"))
})

const volumeBytes = 256 << 20

// host is a host of its own on this machine.
type host struct {
	t       *testing.T
	g       *WithT
	dir     string
	options machinectr.Options
	image   []byte
	driver  *machinectr.Driver

	mu          sync.Mutex
	calls, left int
}

var errKilled = errors.New("the process of the driver was killed")

func newHost(t *testing.T) *host {
	t.Helper()
	needsMachine(t)
	g := NewWithT(t)
	image, err := smallImage()
	g.Expect(err).NotTo(HaveOccurred())
	dir, err := os.MkdirTemp("", "machinectr")
	g.Expect(err).NotTo(HaveOccurred())
	name := "t" + strings.ToLower(rand.Text()[:7])
	h := &host{t: t, g: g, dir: dir, image: image, options: machinectr.Options{
		Host: name, Dir: filepath.Join(dir, "state"), RunDir: filepath.Join(dir, "run"), BootIDFile: filepath.Join(dir, "boot"),
		Processors: 8, MemoryMiB: 8192, Switches: []machinectr.Switch{{Name: "lan", Bridge: name}},
	}}
	for _, volume := range []string{"csv1", "csv2"} {
		h.options.Volumes = append(h.options.Volumes, machinectr.Volume{Name: volume, Path: filepath.Join(dir, volume), Bytes: volumeBytes})
	}
	g.Expect(os.WriteFile(h.Site().Source, image, 0o600)).To(Succeed())
	g.Expect(os.WriteFile(h.options.BootIDFile, []byte("first\n"), 0o600)).To(Succeed())
	t.Cleanup(func() {
		h.left = math.MaxInt
		for _, v := range h.options.Volumes {
			h.ClearVolume(v.Name)
		}
		if h.driver != nil {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
			defer cancel()
			g.Expect(h.driver.TearDown(ctx)).To(Succeed())
		}
		g.Expect(os.RemoveAll(dir)).To(Succeed())
	})
	h.Restart()
	return h
}

func (h *host) Driver() hostapi.Driver { return h.driver }

func (h *host) Restart() {
	if h.driver != nil {
		h.g.Expect(h.driver.Close()).To(Succeed())
	}
	driver, err := machinectr.New(h.t.Context(), h.options)
	h.g.Expect(err).NotTo(HaveOccurred())
	h.mu.Lock()
	h.driver, h.calls, h.left = driver, 0, math.MaxInt
	h.mu.Unlock()
	driver.BeforeChange(func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.left--
		h.calls++
		if h.left < 0 {
			return errKilled
		}
		return nil
	})
}

func (h *host) Calls() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.calls
}

func (h *host) CrashAfter(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = n
}

func (h *host) Site() conformance.Site {
	return conformance.Site{
		Volumes: []string{"csv1", "csv2"}, Switch: "lan", Source: filepath.Join(h.dir, "linux.squashfs"),
		Image: hostapi.ImageRef{Name: "linux", SHA256: fmt.Sprintf("%x", sha256.Sum256(h.image))}, Bytes: max(int64(len(h.image)), 4<<20),
	}
}

func (h *host) AwaitGuest(id hostapi.VMID) {
	h.g.Eventually(func() (hostapi.Heartbeat, error) {
		vm, err := h.driver.GetVM(h.t.Context(), id)
		return vm.Heartbeat, err
	}).WithTimeout(time.Minute).WithPolling(10 * time.Millisecond).Should(Equal(hostapi.HeartbeatOK))
	// What the kernel has not written yet would make the disk's file grow later.
	pid, err := h.driver.Init(id)
	h.g.Expect(err).NotTo(HaveOccurred())
	command(h.t, "sync", "-f", fmt.Sprintf("/proc/%d/root", pid))
}

func (h *host) volume(name string) machinectr.Volume {
	i := slices.IndexFunc(h.options.Volumes, func(v machinectr.Volume) bool { return v.Name == name })
	return h.options.Volumes[i]
}

func (h *host) vmFolder(volume string, id hostapi.VMID) string {
	return filepath.Join(h.volume(volume).Path, "capstan", "vms", string(id))
}

// Contents has a line for each record of the host, and for each folder on a
// volume that is no mere parent of others.
func (h *host) Contents() []string {
	lines := []string{}
	for _, kind := range []string{"claims", "vms"} {
		files, err := filepath.Glob(filepath.Join(h.options.Dir, kind, "*"))
		h.g.Expect(err).NotTo(HaveOccurred())
		for _, file := range files {
			text, err := os.ReadFile(file)
			h.g.Expect(err).NotTo(HaveOccurred())
			lines = append(lines, fmt.Sprintf("%s %s %s %s", kind, filepath.Base(file), text, h.power(strings.TrimSuffix(filepath.Base(file), ".json"))))
		}
	}
	for _, v := range h.options.Volumes {
		for _, pattern := range []string{"vms/*/*", "images/*"} {
			folders, err := filepath.Glob(filepath.Join(v.Path, "capstan", pattern))
			h.g.Expect(err).NotTo(HaveOccurred())
			for _, folder := range folders {
				lines = append(lines, h.line(v, folder))
			}
		}
	}
	runs, err := filepath.Glob(filepath.Join(h.options.RunDir, "guests", "*"))
	h.g.Expect(err).NotTo(HaveOccurred())
	for _, run := range runs {
		seen, err := os.ReadFile(filepath.Join(run, "seed.sha256"))
		h.g.Expect(err).To(Or(Not(HaveOccurred()), MatchError(fs.ErrNotExist)))
		lines = append(lines, fmt.Sprintf("guest %s sees seed %s", filepath.Base(run), seen))
	}
	slices.Sort(lines)
	return lines
}

func (h *host) line(v machinectr.Volume, folder string) string {
	name, err := filepath.Rel(v.Path, folder)
	h.g.Expect(err).NotTo(HaveOccurred())
	line := v.Name + " " + name
	h.g.Expect(filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		line += fmt.Sprintf(" %s %d", entry.Name(), info.Size())
		// A running guest writes to its disk.
		if entry.Name() == "disk.img" {
			return nil
		}
		text, err := os.ReadFile(path)
		line += fmt.Sprintf(" %x", sha256.Sum256(text))
		return err
	})).To(Succeed())
	return line
}

// power tells whether any process is in a control group of the VM's name.
func (h *host) power(id string) string {
	var on bool
	groups, err := filepath.Glob("/sys/fs/cgroup/*/capstan-machinectr/" + h.options.Host + "/" + id)
	h.g.Expect(err).NotTo(HaveOccurred())
	v2, err := filepath.Glob("/sys/fs/cgroup/capstan-machinectr/" + h.options.Host + "/" + id)
	h.g.Expect(err).NotTo(HaveOccurred())
	for _, group := range append(groups, v2...) {
		_ = filepath.WalkDir(group, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Name() == "cgroup.procs" {
				text, _ := os.ReadFile(path)
				on = on || len(text) > 0
			}
			return nil
		})
	}
	return map[bool]string{true: "on", false: "off"}[on]
}

func (h *host) AddForeignVM(name string) {
	h.g.Expect(os.WriteFile(filepath.Join(h.options.Dir, "vms", "by-hand.json"), []byte(`{"name":"`+name+`"}`), 0o600)).To(Succeed())
}

func (h *host) AddForeignDisk(id hostapi.VMID, disk hostapi.Disk) {
	folder := filepath.Join(h.vmFolder(disk.Volume, id), disk.Name+".disk")
	h.g.Expect(os.MkdirAll(folder, 0o700)).To(Succeed())
	h.g.Expect(os.WriteFile(filepath.Join(folder, "disk.img"), []byte("precious"), 0o600)).To(Succeed())
}

// RemoveVM takes the power from a guest and removes the VM's configuration.
func (h *host) RemoveVM(id hostapi.VMID) {
	vm, err := h.driver.GetVM(h.t.Context(), id)
	h.g.Expect(err).NotTo(HaveOccurred())
	_, err = h.driver.SetPower(h.t.Context(), hostapi.SetPowerRequest{Stamp: vm.Stamp, Power: hostapi.PowerOff, Force: true})
	h.g.Expect(err).NotTo(HaveOccurred())
	h.g.Expect(os.Remove(filepath.Join(h.options.Dir, "vms", string(id)+".json"))).To(Succeed())
}

func (h *host) RemoveDisk(id hostapi.VMID, disk hostapi.Disk) {
	h.g.Expect(os.RemoveAll(filepath.Join(h.vmFolder(disk.Volume, id), disk.Name+".disk"))).To(Succeed())
}

func (h *host) FillVolume(volume string) {
	f, err := os.Create(filepath.Join(h.volume(volume).Path, "full"))
	h.g.Expect(err).NotTo(HaveOccurred())
	defer f.Close()
	for size, at := int64(volumeBytes), int64(0); size >= 4096; {
		if syscall.Fallocate(int(f.Fd()), 0, at, size) == nil {
			at += size
		} else {
			size /= 2
		}
	}
}

func (h *host) EmptyVolume(volume string) {
	h.g.Expect(os.Remove(filepath.Join(h.volume(volume).Path, "full"))).To(Succeed())
}

// FaultVolume takes the volume's file system away. Guests whose disks lie on it
// hold it, as a lazy unmount goes, and have it again with everybody else.
func (h *host) FaultVolume(volume string) { command(h.t, "umount", "-l", h.volume(volume).Path) }

func (h *host) ClearVolume(volume string) {
	if v := h.volume(volume); h.isMounted(v.Path) {
		return
	} else if _, err := os.Stat(v.Path + ".img"); err == nil {
		command(h.t, "mount", "-o", "loop,noinit_itable", v.Path+".img", v.Path)
	}
}

func (h *host) isMounted(path string) bool {
	text, err := os.ReadFile("/proc/self/mounts")
	h.g.Expect(err).NotTo(HaveOccurred())
	return strings.Contains(string(text), " "+path+" ")
}

func (h *host) Deafen(id hostapi.VMID) {
	pid, err := h.driver.Init(id)
	h.g.Expect(err).NotTo(HaveOccurred())
	h.g.Expect(syscall.Kill(pid, syscall.SIGSTOP)).To(Succeed())
}

func (h *host) SpoilSource() {
	spoilt := slices.Clone(h.image)
	spoilt[len(spoilt)/2]++
	h.g.Expect(os.WriteFile(h.Site().Source, spoilt, 0o600)).To(Succeed())
}

func (h *host) PowerCycle() {
	h.g.Expect(h.driver.CutPower(h.t.Context())).To(Succeed())
	h.g.Expect(os.WriteFile(h.options.BootIDFile, []byte("second\n"), 0o600)).To(Succeed())
	h.Restart()
}

func (h *host) Lacks() map[conformance.Ability]string {
	return map[conformance.Ability]string{
		conformance.CanClusterHosts: "the host stands alone",
		conformance.CanCutOff:       "the driver runs on its host: there is nothing between the two to cut",
	}
}
