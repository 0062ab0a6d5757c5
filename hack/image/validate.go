package main

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
)

var (
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]+$`)
	versionTag  = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)
	imageName   = regexp.MustCompile(`^[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)+:[A-Za-z0-9._-]+$`)
	kernelWord  = regexp.MustCompile(`^[A-Za-z0-9_.,=:/-]+$`)
)

func (d *description) validate() error {
	var errs []error
	bad := func(format string, a ...any) { errs = append(errs, fmt.Errorf(format, a...)) }
	if d.Debian.Suite == "" || d.Debian.Mirror == "" || d.Debian.SecurityMirror == "" {
		bad("debian: suite, mirror and securityMirror must be set")
	}
	packages := slices.Clone(d.Debian.Packages)
	for _, i := range d.ContainerImages {
		packages = append(packages, i.Packages...)
	}
	for _, p := range packages {
		if !packageName.MatchString(p) {
			bad("%q is no name of a Debian package", p)
		}
	}
	for _, name := range earlyModules {
		if !slices.Contains(d.Debian.InitramfsModules, name) {
			bad("debian.initramfsModules: without %s a guest of Hyper-V does not find its disk", name)
		}
	}
	if !versionTag.MatchString(d.Kubernetes.Version) {
		bad("kubernetes.version: %q is not of the form v1.2.3", d.Kubernetes.Version)
	}
	if d.Kubernetes.Source != modules && d.Kubernetes.Source != published {
		bad("kubernetes.source: %q is neither %q nor %q", d.Kubernetes.Source, modules, published)
	}
	for _, m := range d.Modules {
		if m.Folder == "" || m.Module == "" || !versionTag.MatchString(m.Version) {
			bad("modules: %q needs folder, module and a version of the form v1.2.3", m.Folder)
		}
		if m.Install != "" && !path.IsAbs(m.Install) {
			bad("modules: %s: install must be an absolute path", m.Folder)
		}
	}
	called := map[string]bool{}
	for _, i := range d.ContainerImages {
		if !imageName.MatchString(i.Name) {
			bad("containerImages: %q is not of the form registry/name:tag", i.Name)
		}
		if called[i.shortName()] {
			bad("containerImages: two are called %s, and would get each other's packages", i.shortName())
		}
		called[i.shortName()] = true
		if len(i.Programs) == 0 {
			bad("containerImages: %s has no programs", i.Name)
		}
		for _, at := range slices.AppendSeq(slices.Collect(maps.Values(i.Programs)), maps.Keys(i.Links)) {
			if !path.IsAbs(at) || path.Clean(at) != at {
				bad("containerImages: %s: %q is no clean absolute path", i.Name, at)
			}
		}
	}
	for _, word := range d.Disk.KernelArguments {
		if !kernelWord.MatchString(word) {
			bad("disk.kernelArguments: %q is not one plain word", word)
		}
	}
	// FAT32, which firmware reads everywhere, has a least size.
	if d.Disk.EFIMiB < 34 || d.Disk.SizeGiB < 4 {
		bad("disk: efiMiB must be 34 at least, and sizeGiB 4")
	}
	return errors.Join(errs...)
}
