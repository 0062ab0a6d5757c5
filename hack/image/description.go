package main

import (
	"fmt"
	"os"
	"path/filepath"

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

// imageOf is the preloaded image of a short name.
func (d *description) imageOf(name string) (containerImage, bool) {
	for _, i := range d.ContainerImages {
		if i.shortName() == name {
			return i, true
		}
	}
	return containerImage{}, false
}
