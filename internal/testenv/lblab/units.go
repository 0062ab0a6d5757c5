package lblab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/capstan-k8s/capstan/images/lb"
)

// maxConnections is what HAProxy may carry: twice as many open files are within the
// limits that a shell has.
const maxConnections = "8000"

// unit is a program that systemd runs in a VM.
type unit struct {
	name string
	argv []string
}

// unitFiles are the names of the units in the image, by what tests call them.
var unitFiles = [][2]string{
	{"capstan-lb", "capstan-lb"},
	{"haproxy", "capstan-lb-haproxy"},
	{"keepalived", "capstan-lb-keepalived"},
}

// units are those of the image: their commands are as they ship, but for the folders,
// which VMs on one machine cannot share. The agent is told of these, too, and to carry
// what a shell's limits allow.
func (vm *VM) units() ([]unit, error) {
	disk := func(name string) string { return filepath.Join(vm.Disk(), name) }
	run := func(name string) string { return filepath.Join(vm.Run(), name) }
	var units []unit
	for _, file := range unitFiles {
		text, err := lb.Files.ReadFile("systemd/" + file[1] + ".service")
		if err != nil {
			return nil, fmt.Errorf("unit of %s: %w", file[0], err)
		}
		argv := strings.Fields(vm.here(setting(text, "ExecStart")))
		if len(argv) == 0 {
			return nil, fmt.Errorf("unit of %s starts nothing", file[0])
		}
		if file[0] == "capstan-lb" {
			argv = append(argv, "--config", disk("config.yaml"), "--state-dir", disk("state"), "--max-connections", maxConnections,
				"--haproxy-config", disk("haproxy/haproxy.cfg"), "--haproxy-socket", run("haproxy.sock"),
				"--haproxy-master-socket", run("haproxy-master.sock"),
				"--keepalived-config", vm.keepalivedConfig(), "--keepalived-pid", run("keepalived.pid"),
				"--probe", vm.lab.programs.Probe)
		}
		if before := vm.here(setting(text, "ExecStartPre")); before != "" {
			argv = append([]string{"sh", "-c", before + ` && exec "$0" "$@"`}, argv...)
		}
		units = append(units, unit{file[0], argv})
	}
	return units, nil
}

// setting returns what a unit file says of a setting, or nothing.
func setting(unit []byte, name string) string {
	for line := range strings.Lines(string(unit)) {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// here returns a command with this VM's folders and the programs that are tested.
func (vm *VM) here(command string) string {
	return strings.NewReplacer(
		"/var/lib/capstan-lb", vm.Disk(), "/run/capstan-lb", vm.Run(), "/usr/bin/capstan-lb", vm.lab.programs.CapstanLB,
	).Replace(command)
}

func (vm *VM) keepalivedConfig() string {
	return filepath.Join(vm.Disk(), "keepalived", "keepalived.conf")
}

func (vm *VM) install() error {
	units, err := vm.units()
	if err != nil {
		return err
	}
	for _, u := range units {
		if _, err := vm.Supervise(u.name, u.argv...); err != nil {
			return err
		}
	}
	return nil
}

// Peers are the addresses of those whom the VM's keepalived speaks to.
func (vm *VM) Peers() ([]netip.Addr, error) {
	data, err := os.ReadFile(vm.keepalivedConfig())
	if err != nil {
		return nil, fmt.Errorf("peers of %s: %w", vm.Name, err)
	}
	_, block, _ := strings.Cut(string(data), "unicast_peer {")
	block, _, _ = strings.Cut(block, "}")
	var peers []netip.Addr
	for word := range strings.FieldsSeq(block) {
		peer, err := netip.ParseAddr(word)
		if err != nil {
			return nil, fmt.Errorf("peers of %s: %w", vm.Name, err)
		}
		peers = append(peers, peer)
	}
	return peers, nil
}
