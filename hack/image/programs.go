package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed programs.go
var programsRecipe string

// program is one that was built, and where a guest has it.
type program struct {
	name, file, version string
	// at is the path in a guest; empty for those that are in container images alone.
	at string
}

// programs builds what comes from Go modules.
func (b *builder) programs(ctx context.Context) ([]program, error) {
	var all []program
	for _, m := range b.description.Modules {
		if m.OnlyFor != "" && m.OnlyFor != b.description.Kubernetes.Source {
			continue
		}
		dir, err := b.tools(ctx, m)
		if err != nil {
			return nil, err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("list programs: %w", err)
		}
		for _, e := range entries {
			p := program{name: e.Name(), file: filepath.Join(dir, e.Name()), version: m.Version}
			if m.Install != "" {
				p.at = path.Join(m.Install, p.name)
			}
			all = append(all, p)
		}
	}
	ofKubernetes := b.builtKubernetes
	if b.description.Kubernetes.Source == published {
		ofKubernetes = b.publishedKubernetes
	}
	more, err := ofKubernetes(ctx)
	if err != nil {
		return nil, err
	}
	lb, err := b.loadBalancer(ctx)
	return append(append(all, more...), lb), err
}

// tools builds the tools of a module that pins them.
func (b *builder) tools(ctx context.Context, m module) (string, error) {
	folder := filepath.Join(b.root, m.Folder)
	inputs, err := digestTree(folder)
	if err != nil {
		return "", err
	}
	version, err := command{args: []string{"go", "env", "GOVERSION"}}.run(ctx)
	if err != nil {
		return "", err
	}
	return b.cache.step(ctx, path.Base(m.Folder), key(programsRecipe, fmt.Sprint(m), inputs, version), func(ctx context.Context, dir string) error {
		flags, cgo := "-s -w", "0"
		if m.Stamp != "" {
			flags += " -X " + m.Stamp + "=" + m.Version
		}
		if m.CGO {
			// Static, so that the guest's libraries may differ from the builder's.
			flags, cgo = flags+" -extldflags -static", "1"
		}
		_, err := command{
			env: []string{"GOOS=", "GOARCH=", "GOWORK=off", "CGO_ENABLED=" + cgo},
			args: []string{
				"go", "build", "-C", folder, "-trimpath", "-buildvcs=false", "-tags", strings.Join(m.Tags, ","),
				"-ldflags", flags, "-o", dir + "/", "tool",
			},
		}.run(ctx)
		for from, to := range m.Names {
			if err == nil {
				err = os.Rename(filepath.Join(dir, from), filepath.Join(dir, to))
			}
		}
		return err
	})
}

// builtKubernetes are the programs of Kubernetes, from the modules that the development's
// API server is built from.
func (b *builder) builtKubernetes(ctx context.Context) ([]program, error) {
	script := filepath.Join(b.root, kubernetesScript)
	etcd, err := required(b.root, etcdModule, etcdServer)
	if err != nil {
		return nil, err
	}
	done := begin("kubernetes")
	// A folder that somebody brings may be of any version.
	shared, err := command{env: []string{"KUBEBUILDER_ASSETS="}, args: []string{script}}.run(ctx)
	if err != nil {
		return nil, err
	}
	rest, err := command{args: []string{script, "kube-proxy", "kube-scheduler", "kubeadm", "kubelet"}}.run(ctx)
	if err != nil {
		return nil, err
	}
	done()
	var all []program
	for _, dir := range []string{strings.TrimSpace(shared), strings.TrimSpace(rest)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, fmt.Errorf("list programs: %w", err)
		}
		for _, e := range entries {
			p := program{name: e.Name(), file: filepath.Join(dir, e.Name()), version: b.description.Kubernetes.Version}
			if p.name == "etcd" {
				p.version = etcd
			}
			if slices.Contains(b.description.Kubernetes.Programs, p.name) {
				p.at = path.Join("/usr/bin", p.name)
			}
			all = append(all, p)
		}
	}
	pause, err := b.pause(ctx)
	return append(all, pause), err
}

// pause compiles the one program of Kubernetes that is not Go.
func (b *builder) pause(ctx context.Context) (program, error) {
	version := b.description.Kubernetes.Version
	dir, err := b.cache.step(ctx, "pause", key(programsRecipe, version), func(ctx context.Context, dir string) error {
		// In the module's own folder, so that what is listed is what is pinned.
		sources, err := command{args: []string{
			"go", "list", "-C", filepath.Join(b.root, kubernetesModule), "-m", "-f", "{{.Dir}}", "k8s.io/kubernetes",
		}}.run(ctx)
		if err != nil {
			return err
		}
		_, err = command{args: []string{
			"gcc", "-Os", "-Wall", "-Werror", "-static", "-s", "-DVERSION=" + version,
			"-o", filepath.Join(dir, "pause"), filepath.Join(strings.TrimSpace(sources), "build", "pause", "linux", "pause.c"),
		}}.run(ctx)
		return err
	})
	return program{name: "pause", file: filepath.Join(dir, "pause"), version: version}, err
}

// loadBalancer builds this repository's own program. Go's own cache makes that quick
// when nothing changed, and knows better than we whether anything did.
func (b *builder) loadBalancer(ctx context.Context) (program, error) {
	p := program{name: "capstan-lb", file: filepath.Join(b.cache.dir, "capstan-lb"), version: "this repository", at: "/usr/bin/capstan-lb"}
	_, err := command{
		dir: b.root,
		env: []string{"GOOS=", "GOARCH=", "CGO_ENABLED=0"},
		// No commit in it: one that changed something else must not change the image.
		args: []string{"go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", p.file, "./cmd/capstan-lb"},
	}.run(ctx)
	return p, err
}

// digests is a hash over programs and where they go.
func digests(programs []program) (string, error) {
	var parts []string
	for _, p := range programs {
		sum, err := digest(p.file)
		if err != nil {
			return "", err
		}
		parts = append(parts, p.name, p.at, sum)
	}
	return key(parts...), nil
}

// find is the program of a name.
func find(programs []program, name string) (program, error) {
	i := slices.IndexFunc(programs, func(p program) bool { return p.name == name })
	if i < 0 {
		return program{}, fmt.Errorf("nothing that is built is called %s", name)
	}
	return programs[i], nil
}
