package lblab

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// maxConnections is what HAProxy may carry: twice as many open files are within the
// limits that a shell has.
const maxConnections = "8000"

// unit is a program that systemd runs in a VM.
type unit struct {
	name string
	argv []string
}

// units are those of the image.
func (vm *VM) units() []unit {
	disk := func(name string) string { return filepath.Join(vm.Disk(), name) }
	run := func(name string) string { return filepath.Join(vm.Run(), name) }
	haproxy, master := disk("haproxy/haproxy.cfg"), run("haproxy-master.sock")
	pid := run("keepalived.pid")
	return []unit{
		{"capstan-lb", []string{
			vm.lab.programs.CapstanLB, "--config", disk("config.yaml"), "--state-dir", disk("state"), "--max-connections", maxConnections,
			"--haproxy-config", haproxy, "--haproxy-socket", run("haproxy.sock"), "--haproxy-master-socket", master,
			"--keepalived-config", vm.keepalivedConfig(), "--keepalived-pid", pid,
			"--probe", vm.lab.programs.Probe,
		}},
		{"haproxy", []string{"haproxy", "-W", "-f", haproxy, "-S", master}},
		{"keepalived", []string{
			"keepalived", "-n", "-P", "-l", "-f", vm.keepalivedConfig(), "-p", pid, "-r", run("vrrp.pid"),
		}},
	}
}

func (vm *VM) keepalivedConfig() string {
	return filepath.Join(vm.Disk(), "keepalived", "keepalived.conf")
}

func (vm *VM) install() error {
	for _, u := range vm.units() {
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
