package guest

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// role is what a seed makes of a machine.
type role string

const (
	roleNone             role = "None"
	roleInit             role = "ControlPlaneInit"
	roleJoinControlPlane role = "ControlPlaneJoin"
	roleWorker           role = "Worker"
	roleLoadBalancer     role = "LoadBalancer"
)

var (
	tokenPattern = regexp.MustCompile(`^[a-z0-9]{6}\.[a-z0-9]{16}$`)
	// kubeadmCommand is the shape in which Cluster API runs kubeadm. Its marker
	// file is how it learns of success.
	kubeadmCommand = regexp.MustCompile(`^kubeadm (init|join) --config (\S+)\s+(--v[= ]\d+\s+)?&& echo success > /run/cluster-api/bootstrap-success\.complete$`)
	startsLB       = regexp.MustCompile(`^systemctl\s+(enable --now|restart|start)( --no-block)? capstan-lb(\.service)?$`)
)

// pkiDir is where kubeadm looks for what it does not make itself.
const pkiDir = "/etc/kubernetes/pki/"

// plan is what a guest has to do by its seed.
type plan struct {
	role    role
	kubeadm kubeadmConfig
	lb      lbapi.LBConfig
	// manual says that kubelet runs once kubeadm starts it, and not after a restart.
	manual bool
}

// planOf decides the role from the user data alone.
func planOf(config seed.Config) (plan, error) {
	var kubeadm, lb string
	for _, c := range config.Commands {
		c = strings.TrimSpace(c)
		switch {
		case startsLB.MatchString(c):
			lb = c
		case regexp.MustCompile(`(^|[\s;&|/])kubeadm(\s|$)`).MatchString(c):
			if kubeadm != "" {
				return plan{}, errors.New("runcmd runs kubeadm twice")
			}
			kubeadm = c
		}
	}
	lbFile, hasLB := config.Files[lbapi.ConfigPath]
	switch {
	case kubeadm != "" && (hasLB || lb != ""):
		return plan{}, errors.New("the seed is for a Kubernetes machine and for a load balancer at once")
	case hasLB != (lb != ""):
		return plan{}, fmt.Errorf("a load balancer needs both %s and a command of runcmd that starts capstan-lb", lbapi.ConfigPath)
	case hasLB:
		c, err := lbapi.ParseLBConfig(lbFile.Content)
		if err != nil {
			return plan{}, fmt.Errorf("%s: %w", lbapi.ConfigPath, err)
		}
		return plan{role: roleLoadBalancer, lb: c}, nil
	case kubeadm != "":
		return kubeadmPlan(config, kubeadm)
	default:
		return plan{role: roleNone}, nil
	}
}

func kubeadmPlan(config seed.Config, command string) (plan, error) {
	match := kubeadmCommand.FindStringSubmatch(command)
	if match == nil {
		return plan{}, fmt.Errorf("runcmd runs kubeadm in a way that is not known: %q", command)
	}
	file, ok := config.Files[match[2]]
	if !ok {
		return plan{}, fmt.Errorf("kubeadm %s: %s is not written by the seed", match[1], match[2])
	}
	c, err := parseKubeadmConfig(file.Content)
	if err != nil {
		return plan{}, fmt.Errorf("kubeadm %s: %s: %w", match[1], match[2], err)
	}
	p := plan{kubeadm: c, role: roleInit}
	if match[1] == "join" {
		p.role = roleWorker
		if c.join != nil && c.join.ControlPlane != nil {
			p.role = roleJoinControlPlane
		}
	}
	if err := c.validate(p.role); err != nil {
		return plan{}, fmt.Errorf("kubeadm %s: %s: %w", match[1], match[2], err)
	}
	if socket := c.registration().CRISocket; strings.HasPrefix(socket, "npipe:") {
		return plan{}, fmt.Errorf("kubeadm %s: nodeRegistration.criSocket %q is for Windows", match[1], socket)
	}
	if p.role != roleWorker {
		if _, err := readPKI(contents(config.Files)); err != nil {
			return plan{}, fmt.Errorf("kubeadm %s: %w", match[1], err)
		}
	}
	return p, nil
}

// clusterPKI is what a control-plane machine gets from its seed.
type clusterPKI struct {
	ca, etcd *authority
}

// readPKI reads the keys of a control plane. All of them must be there, although
// the simulation signs with two only: without the others a real machine fails.
func readPKI(files map[string][]byte) (*clusterPKI, error) {
	ca, err := readAuthority(files, pkiDir+"ca")
	if err != nil {
		return nil, err
	}
	etcd, err := readAuthority(files, path.Join(pkiDir, "etcd/ca"))
	if err != nil {
		return nil, err
	}
	if _, err := readAuthority(files, pkiDir+"front-proxy-ca"); err != nil {
		return nil, err
	}
	if key, ok := files[pkiDir+"sa.key"]; !ok {
		return nil, fmt.Errorf("%ssa.key is missing", pkiDir)
	} else if _, err := parseKey(key); err != nil {
		return nil, fmt.Errorf("%ssa.key: %w", pkiDir, err)
	}
	if _, ok := files[pkiDir+"sa.pub"]; !ok {
		return nil, fmt.Errorf("%ssa.pub is missing", pkiDir)
	}
	return &clusterPKI{ca: ca, etcd: etcd}, nil
}

func contents(files map[string]seed.File) map[string][]byte {
	m := make(map[string][]byte, len(files))
	for p, f := range files {
		m[p] = f.Content
	}
	return m
}

func newLineReader(data []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(data)) }
