package machinectr

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Name is what agents say that their driver is.
const Name = "machinectr"

// Options describe a host. Several hosts share one machine if their names,
// folders and volumes differ.
type Options struct {
	// Host is the name of the host.
	Host string
	// Dir is where the host keeps what must outlive a boot; RunDir what must not.
	Dir, RunDir string
	// Volumes are the host's stand-ins for cluster shared volumes.
	Volumes []Volume
	// Switches are the host's virtual switches.
	Switches []Switch
	// Processors and MemoryMiB are what the host has to give; the machine's if 0.
	Processors int32
	MemoryMiB  int64
	// Layer, if set, is a folder that is laid over every image: what guests need
	// that have no kernel of their own.
	Layer string
	// BootIDFile tells one boot of the host from another; the kernel's if empty.
	BootIDFile string
	// Logger, if set, is told what the host cannot tell by its API.
	Logger *slog.Logger `json:"-"`
}

// Volume is a folder that stands in for a cluster shared volume.
type Volume struct {
	Name string
	Path string
	// Bytes makes it a file system of its own of that size, in a file beside Path
	// that is mounted there, so that it can be full or lost by itself.
	Bytes int64
}

// Switch is a bridge that stands in for a virtual switch.
type Switch struct {
	Name string
	// Bridge is the name of its network interface. Hosts that share it are on one
	// network.
	Bridge string
	// Address, if valid, is given to the bridge, so that this machine reaches the
	// guests.
	Address netip.Prefix
}

var (
	hostName   = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$`)
	volumeName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?$`)
	// bridgeName leaves room for a VLAN in the 15 characters of an interface.
	bridgeName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,9}$`)
)

const sizeUnits = "KMGT"

// ParseVolume reads "name=path" or "name=path,size", with a size such as 20G.
func ParseVolume(text string) (Volume, error) {
	name, rest, _ := strings.Cut(text, "=")
	path, size, sized := strings.Cut(rest, ",")
	v := Volume{Name: name, Path: path}
	if sized {
		digits, shift := size, 0
		if n := len(size) - 1; n >= 0 {
			if unit := strings.IndexByte(sizeUnits, size[n]); unit >= 0 {
				digits, shift = size[:n], 10*(unit+1)
			}
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n <= 0 || n > 1<<62>>shift {
			return Volume{}, fmt.Errorf("volume %q: %q is no size: a number is, followed by nothing or one of %s", text, size, sizeUnits)
		}
		v.Bytes = n << shift
	}
	return v, v.validate()
}

func (v Volume) validate() error {
	if !volumeName.MatchString(v.Name) || !filepath.IsAbs(v.Path) {
		return fmt.Errorf("volume %q at %q: it needs a name of letters, digits and dashes, and an absolute path", v.Name, v.Path)
	}
	// They stand in lists whose items end with a space or a line, and in mount options.
	if strings.ContainsAny(v.Path, " \n\t,:\\") {
		return fmt.Errorf("volume %q at %q: its path has a blank, comma, colon or backslash", v.Name, v.Path)
	}
	return nil
}

// ParseSwitch reads "name=bridge" or "name=bridge,address", with an address such
// as 10.77.0.1/24.
func ParseSwitch(text string) (Switch, error) {
	name, rest, _ := strings.Cut(text, "=")
	bridge, address, addressed := strings.Cut(rest, ",")
	s := Switch{Name: name, Bridge: bridge}
	if addressed {
		prefix, err := netip.ParsePrefix(address)
		if err != nil {
			return Switch{}, fmt.Errorf("switch %q: %w", text, err)
		}
		s.Address = prefix
	}
	return s, s.validate()
}

func (s Switch) validate() error {
	if s.Name == "" || !bridgeName.MatchString(s.Bridge) {
		return fmt.Errorf("switch %q on bridge %q: it needs a name, and a bridge of at most 10 lower-case letters, digits and dashes", s.Name, s.Bridge)
	}
	if s.Address.IsValid() && !s.Address.Addr().IsPrivate() {
		return fmt.Errorf("switch %q: %s is not of a private range", s.Name, s.Address)
	}
	return nil
}

// complete fills in what was left out and tells what is wrong.
func (o Options) complete() (Options, error) {
	var err error
	if !hostName.MatchString(o.Host) {
		return o, fmt.Errorf("host name %q is not 1 to 32 lower-case letters, digits and dashes", o.Host)
	}
	if o.Dir == "" {
		o.Dir = "/var/lib/capstan-machinectr/" + o.Host
	}
	if o.RunDir == "" {
		o.RunDir = "/run/capstan-machinectr/" + o.Host
	}
	if o.BootIDFile == "" {
		o.BootIDFile = "/proc/sys/kernel/random/boot_id"
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Processors == 0 {
		o.Processors = int32(min(runtime.NumCPU(), 1<<16))
	}
	if o.MemoryMiB == 0 {
		if o.MemoryMiB, err = machineMemoryMiB(); err != nil {
			return o, err
		}
	}
	problems := []error{}
	seen := map[string]bool{}
	for _, v := range o.Volumes {
		problems = append(problems, v.validate())
		if seen[v.Name] || seen[v.Path] {
			problems = append(problems, fmt.Errorf("volume %q at %q: name or path is another volume's, too", v.Name, v.Path))
		}
		seen[v.Name], seen[v.Path] = true, true
	}
	for i, s := range o.Switches {
		problems = append(problems, s.validate())
		if slices.ContainsFunc(o.Switches[:i], func(t Switch) bool { return t.Name == s.Name || t.Bridge == s.Bridge }) {
			problems = append(problems, fmt.Errorf("switch %q on bridge %q: name or bridge is another switch's, too", s.Name, s.Bridge))
		}
	}
	if len(o.Volumes) == 0 {
		problems = append(problems, errors.New("the host has no volume"))
	}
	if strings.ContainsAny(o.RunDir, " \n\t,:\\") {
		problems = append(problems, fmt.Errorf("folder %q has a blank, comma, colon or backslash", o.RunDir))
	}
	if o.Layer != "" {
		if o.Layer, err = filepath.Abs(o.Layer); err == nil {
			_, err = os.Stat(o.Layer)
		}
		problems = append(problems, err)
	}
	return o, errors.Join(problems...)
}

func machineMemoryMiB() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("read the machine's memory: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "MemTotal:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib >> 10, err
		}
	}
	return 0, errors.New("read the machine's memory: /proc/meminfo has no MemTotal")
}
