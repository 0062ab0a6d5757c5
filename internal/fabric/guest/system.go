package guest

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
)

// system is what is different from one operating system to the next.
type system struct {
	// init is the program that reads the seed at a first boot.
	init string
	read func(disk []byte, macs []string) (*seed.Seed, error)
	// plan decides what the machine is, from its seed alone.
	plan func(m *memory) (plan, error)
	// unseeded tells what becomes of a machine that lost its seed.
	unseeded func(m *memory) error
	// first returns what init says at a first boot.
	first func(g *Guest) firstBoot
	// describe fills in what a kubelet says of the system under it.
	describe func(node *corev1.Node)
}

// systemOf returns the system that an image boots. Images that say nothing are
// Linux.
func systemOf(os string) (system, error) {
	switch {
	case os == "" || strings.EqualFold(os, "Linux"):
		return linux, nil
	case strings.EqualFold(os, "Windows"):
		return windows, nil
	}
	return system{}, fmt.Errorf("guests of OS %q are not simulated", os)
}

var linux = system{
	init: "cloud-init", read: seed.Read, first: newCloudInit,
	plan: func(m *memory) (plan, error) { return planOf(m.Config) },
	// cloud-init takes a machine that lost its seed for a new one, unless it was
	// told to leave it alone.
	unseeded: func(m *memory) error {
		_, disabled := m.Config.Files["/etc/cloud/cloud-init.disabled"]
		if disabled || bytes.Contains(m.Config.Files["/etc/cloud/ds-identify.cfg"].Content, []byte("notfound=disabled")) {
			return nil
		}
		return errors.New("no data source, and nothing in the first seed told cloud-init to leave this machine as it is: it is named and addressed anew")
	},
	describe: func(node *corev1.Node) {
		node.Labels[corev1.LabelOSStable] = "linux"
		node.Status.NodeInfo.OperatingSystem = "linux"
		node.Status.NodeInfo.KernelVersion, node.Status.NodeInfo.OSImage = "6.1.0-simulated", "Debian GNU/Linux 12 (bookworm)"
	},
}
