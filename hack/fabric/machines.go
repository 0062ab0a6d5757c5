package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/lbvm"
	"github.com/capstan-k8s/capstan/internal/netlab"
	"github.com/capstan-k8s/capstan/internal/netlab/lbnode"
)

// The values of --keepalived.
const (
	keepalivedOff  = "off"
	keepalivedOn   = "on"
	keepalivedAuto = "auto"
)

// haproxyUser is whom the units of images/lb run HAProxy's workers as.
const haproxyUser = "haproxy"

// hidden is a folder of which a laboratory has another one.
const hidden = "/run/"

// programs are those of load balancers that are machines of their own. Where they are
// not all there, err names each that is missing.
func (c config) programs() (programs lbnode.Programs, err error) {
	var errs []error
	find := func(program, why string) string {
		path, err := exec.LookPath(program)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", why, err))
		}
		return path
	}
	if c.haproxy == "" {
		errs = append(errs, errors.New("no HAProxy, see --haproxy"))
	} else {
		programs.HAProxy = find(c.haproxy, "no HAProxy")
	}
	programs.Keepalived = find("keepalived", "no keepalived")
	self, err := os.Executable()
	if err != nil {
		return programs, err
	}
	programs.CapstanLB = find(filepath.Join(filepath.Dir(self), "capstan-lb"), "no agent beside this program")
	programs.Probe = programs.CapstanLB
	if dir, err := filepath.Abs(c.dir); err != nil || strings.HasPrefix(dir, hidden) {
		errs = append(errs, errors.Join(fmt.Errorf("%s would not be seen, see --dir", dir), err))
	}
	if _, err := user.Lookup(haproxyUser); err != nil {
		errs = append(errs, fmt.Errorf("nobody to run HAProxy as: %w", err))
	}
	if c.pprofAddress != "" {
		errs = append(errs, errors.New("profiles could not be reached, see --pprof-bind-address"))
	}
	return programs, errors.Join(errs...)
}

// enterNetwork has the rest of the program run where load balancers can be machines
// of their own, and returns their network; nil where they are not to be or cannot.
func (c config) enterNetwork(log *slog.Logger) (*lbvm.Network, error) {
	// Whoever is started again need not look again.
	first := !netlab.Entering()
	if first && os.Geteuid() == 0 {
		// Addresses are not to be had while a fabric that was killed leads elsewhere.
		if err := netlab.Sweep(); err != nil {
			return nil, err
		}
	}
	if c.keepalived == keepalivedOff {
		return nil, nil
	}
	programs, err := c.programs()
	if first {
		err = errors.Join(netlab.Available(), err)
	}
	var outside *netlab.Outside
	if err == nil {
		outside, err = netlab.EnterConnected()
	}
	switch {
	case err == nil:
		return lbvm.New(outside, programs)
	case c.keepalived == keepalivedAuto:
		log.Warn("load balancers have no keepalived: who holds a VIP is decided in this process", "missing", strings.ReplaceAll(err.Error(), "\n", "; "))
		return nil, nil
	default:
		return nil, fmt.Errorf("load balancers with keepalived: %w", err)
	}
}
