package netlab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// outside is the name of the namespace in which the program was started.
const outside = "outside"

// uplink is the port of the switch that leads there.
const uplink = "uplink"

// handed is the number of the first open file that a program is started with besides
// its input and outputs.
const handed = 3

// device tells a program that was started again what its uplink is called outside.
const device = "CAPSTAN_NETLAB_UPLINK"

// devicePrefix begins the names of such devices. The process ID of the program follows.
const devicePrefix = "capstan-"

// Outside is where the program was started, with all that reaches nodes from there.
type Outside struct {
	// device is the other end of the uplink.
	device string
}

// EnterConnected is Enter for a program whose nodes shall be reached from where it
// was started.
func EnterConnected() (*Outside, error) {
	if os.Getenv(stage) == "" {
		if err := os.Setenv(device, devicePrefix+strconv.Itoa(os.Getpid())); err != nil {
			return nil, err
		}
	}
	home, err := os.Open("/proc/self/ns/net")
	if err != nil {
		return nil, fmt.Errorf("enter namespaces: %w", err)
	}
	if err := errors.Join(enter(nameOutside, home), home.Close()); err != nil {
		return nil, err
	}
	return &Outside{device: os.Getenv(device)}, os.Unsetenv(device)
}

// Sweep takes away by what programs were reached that have ended without a warning. The
// kernel does so, too, but not before their last connections have run out.
func Sweep() error {
	devices, err := net.Interfaces()
	if err != nil {
		return fmt.Errorf("look for what killed programs left: %w", err)
	}
	var errs []error
	for _, d := range devices {
		number, ok := strings.CutPrefix(d.Name, devicePrefix)
		pid, err := strconv.Atoi(number)
		if !ok || err != nil || runs(pid) {
			continue
		}
		if err := ip("link", "delete", d.Name); err != nil {
			// The kernel may have been first.
			if _, still := net.InterfaceByName(d.Name); still == nil {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// runs tells whether a process of that ID is there, another one than this.
func runs(pid int) bool {
	return pid != os.Getpid() && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}

// nameOutside makes the namespace that was handed in known to ip.
func nameOutside() error {
	path := filepath.Join(root, "netns", outside)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		return err
	}
	if err := syscall.Mount(fmt.Sprintf("/proc/self/fd/%d", handed), path, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("name the namespace outside: %w", err)
	}
	return syscall.Close(handed)
}

// Entering tells whether this program was started again by Enter or EnterConnected
// and has yet to call it.
func Entering() bool { return os.Getenv(stage) != "" }

// Available tells why there can be no laboratory on this machine, or nothing.
func Available() error {
	if os.Geteuid() != 0 {
		return ErrNotRoot
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return fmt.Errorf("network namespaces need iproute2: %w", err)
	}
	try := exec.Command("ip", "-batch", "-")
	try.Stdin = strings.NewReader("link add " + bridge + " type bridge\nlink add " + uplink + " type veth peer name " + NIC + "\n")
	try.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaces}
	if out, err := try.CombinedOutput(); err != nil {
		return fmt.Errorf("make a bridge in a network namespace: %w %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}

// patience is for how long what an earlier program had may be there still.
const patience = 5 * time.Second

// Connect has a network of the switch reached from outside, where the gateway's
// address is. Networks that are connected stay so.
func (l *Lab) Connect(o *Outside, network netip.Prefix, gateway netip.Addr) error {
	l.connecting.Lock()
	defer l.connecting.Unlock()
	if l.connected[network] {
		return nil
	}
	// Here first: as long as the kernel has all of 127.0.0.0/8 to itself, it says on the
	// wire that it is whoever is asked for.
	if err := ip("address", "replace", anchor, "dev", bridge); err != nil {
		return err
	}
	if err := batch("", lead("replace", network, bridge)); err != nil {
		return err
	}
	if len(l.connected) == 0 {
		if err := plugIn(o); err != nil {
			return err
		}
	}
	if network.Addr().IsLoopback() {
		setting := strings.ReplaceAll(routeLoopback, "all", o.device)
		if err := run("1", "ip", "netns", "exec", outside, "tee", setting); err != nil {
			return err
		}
	}
	here := netip.PrefixFrom(gateway, gateway.BitLen())
	if err := batch(outside, assign(here, o.device)...); err != nil {
		return err
	}
	if err := take(lead("add", network, o.device) + " src " + gateway.String()); err != nil {
		return errors.Join(fmt.Errorf("lead from outside to network %s, which another program has: %w", network, err),
			ip("-netns", outside, "address", "delete", here.String(), "dev", o.device))
	}
	l.connected[network] = true
	return nil
}

// anchor is an address at the switch that nobody uses: a device that loses its last one
// loses its routes, too.
const anchor = "169.254.255.254/32"

// plugIn lays the cable from the switch.
func plugIn(o *Outside) error {
	if err := ip("link", "add", uplink, "type", "veth", "peer", "name", o.device, "netns", outside); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"link", "set", uplink, "master", bridge, "up"},
		{"-netns", outside, "link", "set", o.device, "up"},
	} {
		if err := ip(args...); err != nil {
			return errors.Join(err, ip("link", "delete", uplink))
		}
	}
	return nil
}

// take adds a route outside as soon as an earlier program's is gone.
func take(route string) error {
	end := time.Now().Add(patience)
	for {
		err := batch(outside, route)
		if err == nil || !strings.Contains(err.Error(), "File exists") || time.Now().After(end) {
			return err
		}
		<-time.After(patience / 50)
	}
}
