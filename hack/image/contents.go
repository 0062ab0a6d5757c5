package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed contents.go
var contentsRecipe string

// contentsFile is where a guest has the list of what it is made of.
const contentsFile = "usr/share/doc/capstan-node/contents.tsv"

// writeContents lists what the image is made of: kind, name, version, SHA-256.
func (b *builder) writeContents(file, system string, store store, programs []program) error {
	var lines []string
	for _, p := range programs {
		sum, err := digest(p.file)
		if err != nil {
			return err
		}
		at := p.at
		if at == "" {
			at = "in container images: " + p.name
		}
		lines = append(lines, strings.Join([]string{"program", at, p.version, sum}, "\t"))
	}
	lists := map[string]string{"package": filepath.Join(system, packageList), "container image": filepath.Join(store.dir, storeList)}
	for image, dir := range store.libraries {
		lists["package in "+image] = filepath.Join(dir, packageList)
	}
	for kind, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			return fmt.Errorf("list contents: %w", err)
		}
		if len(text) == 0 {
			return fmt.Errorf("list contents: %s is empty", list)
		}
		for line := range strings.Lines(string(text)) {
			lines = append(lines, kind+"\t"+strings.TrimSpace(line))
		}
	}
	slices.Sort(lines)
	return write(file, "kind\tname\tversion\tsha256\n"+strings.Join(lines, "\n")+"\n")
}

// wanted asks kubeadm which images it will use, and misses none of them.
func (b *builder) wanted(ctx context.Context, programs []program) error {
	kubeadm, err := find(programs, "kubeadm")
	if err != nil {
		return err
	}
	list, err := command{args: []string{kubeadm.file, "config", "images", "list", "--kubernetes-version", b.description.Kubernetes.Version}}.run(ctx)
	if err != nil {
		return fmt.Errorf("ask kubeadm for its images: %w", err)
	}
	var missing []string
	for _, name := range strings.Fields(list) {
		if !slices.ContainsFunc(b.description.ContainerImages, func(i containerImage) bool { return i.Name == name }) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("kubeadm %s uses %s, which the description does not preload", b.description.Kubernetes.Version, strings.Join(missing, ", "))
	}
	return nil
}
