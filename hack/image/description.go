package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// source is where Kubernetes comes from.
type source string

const (
	modules   source = "modules"
	published source = "published"
)

// description is images/linux/image.yaml.
type description struct {
	Debian          debian           `json:"debian"`
	Kubernetes      kubernetes       `json:"kubernetes"`
	Modules         []module         `json:"modules"`
	ContainerImages []containerImage `json:"containerImages"`
	Disk            disk             `json:"disk"`

	// dir is where the description lies, and the files that are laid over the tree.
	dir string
}

type debian struct {
	Suite            string   `json:"suite"`
	Mirror           string   `json:"mirror"`
	SecurityMirror   string   `json:"securityMirror"`
	Packages         []string `json:"packages"`
	InitramfsModules []string `json:"initramfsModules"`
}

type kubernetes struct {
	Version  string   `json:"version"`
	Source   source   `json:"source"`
	Programs []string `json:"programs"`
}

// module is a folder whose go.mod pins programs, as its tools.
type module struct {
	Folder  string `json:"folder"`
	Module  string `json:"module"`
	Version string `json:"version"`
	// Stamp is the variable in which the programs look for their version.
	Stamp string   `json:"stamp"`
	Tags  []string `json:"tags"`
	CGO   bool     `json:"cgo"`
	// Names are what programs are called here instead of what Go calls them.
	Names map[string]string `json:"names"`
	// Install is the guest's folder for the programs. Those of a module without one are
	// for container images alone.
	Install string `json:"install"`
	// OnlyFor is the source of Kubernetes with which the module is needed; empty is any.
	OnlyFor source `json:"onlyFor"`
}

// containerImage is in the store when a guest boots first.
type containerImage struct {
	Name string `json:"name"`
	// Programs are what it is made of, and where they are in it.
	Programs map[string]string `json:"programs"`
	Packages []string          `json:"packages"`
	// Links are symbolic links, by where they are in it.
	Links      map[string]string `json:"links"`
	Entrypoint []string          `json:"entrypoint"`
	User       string            `json:"user"`
}

type disk struct {
	SizeGiB         int64    `json:"sizeGiB"`
	EFIMiB          int64    `json:"efiMiB"`
	KernelArguments []string `json:"kernelArguments"`
}

func load(file string) (*description, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read description: %w", err)
	}
	d := &description{dir: filepath.Dir(file)}
	if err := yaml.UnmarshalStrict(text, d); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	if err := d.validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

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
	for _, i := range d.ContainerImages {
		if !imageName.MatchString(i.Name) {
			bad("containerImages: %q is not of the form registry/name:tag", i.Name)
		}
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

// imageOf is the preloaded image of a repository's last element.
func (d *description) imageOf(name string) (containerImage, bool) {
	for _, i := range d.ContainerImages {
		repository, _, _ := strings.Cut(i.Name[strings.LastIndex(i.Name, "/")+1:], ":")
		if repository == name {
			return i, true
		}
	}
	return containerImage{}, false
}
