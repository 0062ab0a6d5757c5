package machinehosts

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/uuid"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
)

// Options say what the hosts are made of.
type Options struct {
	// Dir is the folder of what outlives a host's boot. It needs a file system that can
	// hold sparse files.
	Dir string
	// Image is what guests boot.
	Image Image
	// Layer is laid over every image, and Programs lie in podPrograms there.
	Layer    string
	Programs []string
	// RunDir is the folder of what is there of hosts until the machine's boot. By default
	// it is one that all on this machine know.
	RunDir string
}

// What each host has. Volumes are sparse files: they take what is written to them.
const (
	processors  = 32
	memoryMiB   = 128 << 10
	volumeBytes = 512 << 30
	bridge      = "capstan0"
	// defaultRunDir is for all environments of the machine, as the bridge is: one at a
	// time has it.
	defaultRunDir = "/run/capstan-machinehosts"
)

// What images/machinectr/samples take for granted.
const (
	Switch = "vSwitch"
	// podPrograms is the folder of guests that has programs for pods: there is no
	// registry.
	podPrograms = "/opt/capstan-samples"
)

// Volumes are those that each host has.
func Volumes() []string { return []string{"csv1", "csv2"} }

// Address is that of this machine in the guests' network.
func Address() netip.Prefix { return netip.MustParsePrefix("10.213.0.1/16") }

// Hosts are hosts of machine containers.
type Hosts struct {
	Options

	claim *os.File
}

// New returns hosts that are not there yet: each is as soon as its agent is started.
func New(o Options) *Hosts {
	o.RunDir = cmp.Or(o.RunDir, defaultRunDir)
	return &Hosts{Options: o}
}

// Prepare takes away what a run that was killed has left, there or elsewhere, and makes
// what hosts share. It refuses while somebody else has such hosts on this machine.
func (h *Hosts) Prepare(ctx context.Context) error {
	if os.Geteuid() != 0 {
		return errors.New("machine containers need root: namespaces, mounts and control groups are made for them")
	}
	if err := h.takeMachine(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(h.layer()); err != nil {
		return fmt.Errorf("making the layer of the guests: %w", err)
	}
	if err := os.CopyFS(h.layer(), os.DirFS(h.Layer)); err != nil {
		return fmt.Errorf("making the layer of the guests: %w", err)
	}
	programs := filepath.Join(h.layer(), podPrograms)
	if err := os.MkdirAll(programs, 0o755); err != nil {
		return fmt.Errorf("making the layer of the guests: %w", err)
	}
	for _, program := range h.Programs {
		text, err := os.ReadFile(program)
		if err == nil {
			err = os.WriteFile(filepath.Join(programs, filepath.Base(program)), text, 0o755)
		}
		if err != nil {
			return fmt.Errorf("putting %s into the layer of the guests: %w", filepath.Base(program), err)
		}
	}
	return nil
}

func (h *Hosts) layer() string { return filepath.Join(h.Dir, "layer") }

// DriverOptions are those of one host's driver.
func (h *Hosts) DriverOptions(host string) machinectr.Options {
	dir := filepath.Join(h.Dir, host)
	o := machinectr.Options{
		Host: "dev-" + host, Dir: filepath.Join(dir, "state"), RunDir: filepath.Join(h.RunDir, host),
		BootIDFile: filepath.Join(dir, "boot-id"), Layer: h.layer(), Processors: processors, MemoryMiB: memoryMiB,
		Switches: []machinectr.Switch{{Name: Switch, Bridge: bridge, Address: Address()}},
	}
	for _, volume := range Volumes() {
		o.Volumes = append(o.Volumes, machinectr.Volume{Name: volume, Path: filepath.Join(dir, volume), Bytes: volumeBytes})
	}
	return o
}

// AgentArgs are the arguments of dev-agent for a host.
func (h *Hosts) AgentArgs(host string) []string {
	o := h.DriverOptions(host)
	args := []string{
		"--driver=machinectr", "--machinectr-host=" + o.Host, "--machinectr-dir=" + o.Dir, "--machinectr-run-dir=" + o.RunDir,
		"--machinectr-boot-id-file=" + o.BootIDFile, "--machinectr-layer=" + o.Layer,
		fmt.Sprintf("--machinectr-processors=%d", o.Processors), fmt.Sprintf("--machinectr-memory-mib=%d", o.MemoryMiB),
	}
	for _, v := range o.Volumes {
		args = append(args, fmt.Sprintf("--machinectr-volume=%s=%s,%d", v.Name, v.Path, v.Bytes))
	}
	for _, s := range o.Switches {
		args = append(args, fmt.Sprintf("--machinectr-switch=%s=%s,%s", s.Name, s.Bridge, s.Address))
	}
	return args
}

// Boot gives a host a new boot ID. Its agent is to be started next.
func (h *Hosts) Boot(host string) error {
	file := h.DriverOptions(host).BootIDFile
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("making the folder of host %s: %w", host, err)
	}
	if err := os.WriteFile(file, []byte(uuid.NewString()+"\n"), 0o600); err != nil {
		return fmt.Errorf("booting host %s: %w", host, err)
	}
	return nil
}

// Open drives a host that has no agent and was booted, as its agent would.
func (h *Hosts) Open(ctx context.Context, host string) (*machinectr.Driver, error) {
	return machinectr.New(ctx, h.DriverOptions(host))
}

// CutPower takes the power from a host whose agent has been killed.
func (h *Hosts) CutPower(ctx context.Context, host string) error {
	driver, err := h.driver(ctx, host)
	if err != nil {
		return fmt.Errorf("taking the power from host %s: %w", host, err)
	}
	if err := errors.Join(driver.CutPower(ctx), driver.Close()); err != nil {
		return fmt.Errorf("taking the power from host %s: %w", host, err)
	}
	return nil
}

// driver drives a host that has no agent, to end guests and not to start any.
func (h *Hosts) driver(ctx context.Context, host string) (*machinectr.Driver, error) {
	o := h.DriverOptions(host)
	o.Layer = ""
	return machinectr.New(ctx, o)
}

// TearDown takes all hosts off the machine, with all they hold. Their agents must have
// ended.
func (h *Hosts) TearDown(ctx context.Context) error {
	if h.claim == nil {
		return nil
	}
	if err := h.removeAll(ctx); err != nil {
		return err
	}
	return h.leaveMachine()
}

func (h *Hosts) removeAll(ctx context.Context) error {
	hosts, err := h.known()
	if err != nil {
		return fmt.Errorf("looking for hosts in %s: %w", h.Dir, err)
	}
	var problems []error
	for _, host := range hosts {
		problems = append(problems, h.Remove(ctx, host))
	}
	return errors.Join(problems...)
}

// Remove takes one host off the machine, with all it holds. It must have no agent.
func (h *Hosts) Remove(ctx context.Context, host string) error {
	driver, err := h.driver(ctx, host)
	if err == nil {
		err = driver.TearDown(ctx)
	}
	if err != nil {
		return fmt.Errorf("taking host %s off the machine: %w", host, err)
	}
	// Nothing is mounted in it any more.
	if err := os.RemoveAll(filepath.Join(h.Dir, host)); err != nil {
		return fmt.Errorf("removing the folder of host %s: %w", host, err)
	}
	return nil
}

// known are the hosts that have been booted, by their folders or, where somebody has
// removed those, by what there is of them below /run.
func (h *Hosts) known() ([]string, error) {
	booted, err := filepath.Glob(h.DriverOptions("*").BootIDFile)
	if err != nil {
		return nil, err
	}
	running, err := filepath.Glob(h.DriverOptions("*").RunDir)
	if err != nil {
		return nil, err
	}
	var hosts []string
	for _, file := range booted {
		hosts = append(hosts, filepath.Base(filepath.Dir(file)))
	}
	for _, folder := range running {
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			hosts = append(hosts, filepath.Base(folder))
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts), nil
}

// Held tells whether the hosts on this machine are these.
func (h *Hosts) Held() bool { return h.claim != nil }
