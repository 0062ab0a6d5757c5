package guest

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
)

// windowsBuild is the build of Windows Server 2022.
const windowsBuild = "10.0.20348"

// windowsMarker is where Cluster API's marker of success is on a system drive.
const windowsMarker = `C:\run\cluster-api\`

var (
	windowsKubeadm = regexp.MustCompile(`^kubeadm join --config (C:\\\S+) (--v[= ]\d+ )?&& echo success > C:\\run\\cluster-api\\bootstrap-success\.complete$`)
	runsKubeadm    = regexp.MustCompile(`(?i)(^|[\s;&|/\\])kubeadm(\.exe)?\s+(init|join)\b`)
	// startsKubelet is how kubelet comes to be started with the machine.
	startsKubelet = regexp.MustCompile(`(?i)^(sc\.exe config kubelet start= (delayed-)?auto|nssm set kubelet start SERVICE_AUTO_START)$`)
)

var windows = system{
	init: "cloudbase-init", read: seed.ReadWindows, plan: windowsPlan, first: newCloudbaseInit,
	// cloudbase-init does nothing where it finds no metadata.
	unseeded: func(*memory) error { return nil },
	describe: func(node *corev1.Node) {
		node.Labels[corev1.LabelOSStable], node.Labels[corev1.LabelWindowsBuild] = "windows", windowsBuild
		node.Status.NodeInfo.OperatingSystem = "windows"
		node.Status.NodeInfo.KernelVersion, node.Status.NodeInfo.OSImage = windowsBuild+".2227", "Windows Server 2022 Standard"
	},
}

// windowsPlan decides what a Windows machine is: a worker, or nothing.
func windowsPlan(m *memory) (plan, error) {
	p, starts := plan{role: roleNone}, false
	for i, line := range m.Config.Commands {
		line = strings.TrimSpace(line)
		starts = starts || startsKubelet.MatchString(line)
		if !runsKubeadm.MatchString(line) {
			continue
		}
		match := windowsKubeadm.FindStringSubmatch(line)
		if match == nil {
			return plan{}, fmt.Errorf("runcmd[%d] runs kubeadm in a way that is not known on Windows: %q", i, line)
		}
		if p.role != roleNone {
			return plan{}, errors.New("runcmd runs kubeadm twice")
		}
		var err error
		if p, err = windowsWorker(m, match[1]); err != nil {
			return plan{}, fmt.Errorf("kubeadm join: %s: %w", match[1], err)
		}
	}
	p.manual = !starts
	return p, nil
}

func windowsWorker(m *memory, path string) (plan, error) {
	file, ok := m.Config.Files[path]
	if !ok {
		return plan{}, errors.New("it is not written by the seed")
	}
	if !m.hasFolder(windowsMarker) {
		return plan{}, fmt.Errorf("nothing makes the folder %s, to which success is written", windowsMarker)
	}
	c, err := parseKubeadmConfig(file.Content)
	if err != nil {
		return plan{}, err
	}
	if err := c.validate(roleWorker); err != nil {
		return plan{}, err
	}
	registration := c.registration()
	if socket := registration.CRISocket; socket != "" && !strings.HasPrefix(socket, "npipe://") {
		return plan{}, fmt.Errorf("nodeRegistration.criSocket %q is not a named pipe", socket)
	}
	// The kubelet of Windows images is told that it is called like the computer.
	if name := registration.Name; name != "" && name != m.Hostname {
		return plan{}, fmt.Errorf("nodeRegistration.name %q is not the computer name %q", name, m.Hostname)
	}
	return plan{role: roleWorker, kubeadm: c}, nil
}

func (m *memory) hasFolder(folder string) bool {
	for path := range m.Config.Files {
		if strings.HasPrefix(path, folder) {
			return true
		}
	}
	return false
}
