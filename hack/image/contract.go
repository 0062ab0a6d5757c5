package main

import (
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed contract.go
var contractRecipe string

// contractFiles are what a guest of generation 2 boots by and talks to its host with;
// docs/images.md says what each is for.
var contractFiles = []string{
	"vmlinuz",
	"initrd.img",
	"usr/lib/shim/shimx64.efi.signed",
	"usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
	"usr/sbin/hv_kvp_daemon",
	"usr/lib/systemd/system/hv-kvp-daemon.service",
	"usr/lib/udev/rules.d/60-hyperv-daemons.rules",
	"usr/bin/cloud-init",
	"usr/bin/growpart",
}

// contractModules are modules of the kernel that such a guest loads after its root is
// there, or that are built in.
var contractModules = []string{"hv_utils", "hv_balloon", "sr_mod", "isofs", "vfat", "overlay", "br_netfilter"}

// earlyModules are those without which it would not find its root.
var earlyModules = []string{"hv_vmbus", "hv_storvsc"}

// fulfils says what a tree lacks of the contract. An emulator that boots the image
// would not see that: it has no such host.
func fulfils(tree string, initramfsModules []string) error {
	var errs []error
	for _, name := range contractFiles {
		// Not Stat: a link that leads anywhere leads there in a guest.
		if _, err := os.Lstat(filepath.Join(tree, name)); err != nil {
			errs = append(errs, fmt.Errorf("/%s is missing", name))
		}
	}
	kernels, err := filepath.Glob(filepath.Join(tree, "usr", "lib", "modules", "*"))
	if err != nil {
		return err
	}
	if len(kernels) == 0 {
		errs = append(errs, errors.New("there is no kernel"))
	}
	for _, kernel := range kernels {
		has, err := kernelModules(kernel)
		if err != nil {
			return err
		}
		for _, name := range slices.Concat(contractModules, initramfsModules) {
			if !has[name] {
				errs = append(errs, fmt.Errorf("kernel %s has no module %s", filepath.Base(kernel), name))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("no image for Hyper-V would come of this: %w", err)
	}
	return nil
}

// kernelModules are the names of a kernel's modules, those that are built in included.
func kernelModules(kernel string) (map[string]bool, error) {
	has := map[string]bool{}
	for _, list := range []string{"modules.dep", "modules.builtin"} {
		text, err := os.ReadFile(filepath.Join(kernel, list))
		if err != nil {
			return nil, fmt.Errorf("list the kernel's modules: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
			// It may be compressed, and its file may be named with either kind of dash.
			name, _, isModule := strings.Cut(path.Base(file), ".ko")
			if isModule {
				has[strings.ReplaceAll(name, "-", "_")] = true
			}
		}
	}
	return has, nil
}
