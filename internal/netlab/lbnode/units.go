package lbnode

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/capstan-k8s/capstan/images/lb"
	"github.com/capstan-k8s/capstan/internal/netlab"
)

// Programs are the paths of what runs. keepalived starts the probe only where nobody
// but root could have put it, as where Lab.Install does.
type Programs struct {
	CapstanLB, Probe    string
	HAProxy, Keepalived string
}

// The programs of Debian's packages.
const (
	HAProxy    = "/usr/sbin/haproxy"
	Keepalived = "/usr/sbin/keepalived"
)

// Options say how a VM differs from one that runs by itself.
type Options struct {
	Programs
	// Config is what the VM's seed wrote for capstan-lb.
	Config []byte
	// MaxConnections is what HAProxy may carry: twice as many open files have to be
	// within the limits of whoever started this program.
	MaxConnections int
}

// Start makes a node that is on a load-balancer VM, and boots it.
func Start(node *netlab.Node, o Options) error {
	if err := os.WriteFile(configFile(node), o.Config, 0o600); err != nil {
		return err
	}
	if err := Settings(node); err != nil {
		return err
	}
	units, err := unitsOf(node, o)
	if err != nil {
		return err
	}
	for _, u := range units {
		if _, err := node.Supervise(u.name, u.argv...); err != nil {
			return err
		}
	}
	return nil
}

// Settings makes the settings of images/lb/sysctl.d, as each boot does.
func Settings(node *netlab.Node) error {
	file, err := lb.Files.ReadFile("sysctl.d/90-capstan-lb.conf")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(file)) {
		name, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if err := node.Sysctl(strings.TrimSpace(name), strings.TrimSpace(value)); err != nil {
			return err
		}
	}
	return nil
}

// KeepalivedConfig is the file that the node's keepalived has loaded.
func KeepalivedConfig(node *netlab.Node) string {
	return filepath.Join(node.Disk(), "keepalived", "keepalived.conf")
}

func configFile(node *netlab.Node) string { return filepath.Join(node.Disk(), "config.yaml") }

// unit is a program that systemd runs in a VM.
type unit struct {
	name string
	argv []string
}

// unitFiles are the names of the units in the image, by what they run.
var unitFiles = [][2]string{
	{"capstan-lb", "capstan-lb"},
	{"haproxy", "capstan-lb-haproxy"},
	{"keepalived", "capstan-lb-keepalived"},
}

// unitsOf are those of the image: their commands are as they ship, but for the folders,
// which VMs on one machine cannot share, and the programs. The agent is told of these,
// too.
func unitsOf(node *netlab.Node, o Options) ([]unit, error) {
	disk := func(name string) string { return filepath.Join(node.Disk(), name) }
	run := func(name string) string { return filepath.Join(node.Run(), name) }
	here := strings.NewReplacer(
		"/var/lib/capstan-lb", node.Disk(), "/run/capstan-lb", node.Run(),
		"/usr/bin/capstan-lb", o.CapstanLB, HAProxy, o.HAProxy, Keepalived, o.Keepalived,
	)
	var units []unit
	for _, file := range unitFiles {
		text, err := lb.Files.ReadFile("systemd/" + file[1] + ".service")
		if err != nil {
			return nil, fmt.Errorf("unit of %s: %w", file[0], err)
		}
		argv := strings.Fields(setting(text, "ExecStart"))
		if len(argv) == 0 {
			return nil, fmt.Errorf("unit of %s starts nothing", file[0])
		}
		for i := range argv {
			argv[i] = here.Replace(argv[i])
		}
		if file[0] == "capstan-lb" {
			argv = append(argv, "--config", configFile(node), "--state-dir", disk("state"),
				"--max-connections", strconv.Itoa(o.MaxConnections), "--haproxy", o.HAProxy,
				"--haproxy-config", disk("haproxy/haproxy.cfg"), "--haproxy-socket", run("haproxy.sock"),
				"--haproxy-master-socket", run("haproxy-master.sock"), "--keepalived", o.Keepalived,
				"--keepalived-config", KeepalivedConfig(node), "--keepalived-pid", run("keepalived.pid"),
				"--probe", o.Probe)
		}
		if before := here.Replace(setting(text, "ExecStartPre")); before != "" {
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
