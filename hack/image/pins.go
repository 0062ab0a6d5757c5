package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Folders of the whole repository, which pin and build what is Kubernetes'.
const (
	kubernetesModule = "hack/kube"
	etcdModule       = "hack/etcd"
	etcdServer       = "go.etcd.io/etcd/server/v3"
	kubernetesScript = "hack/kube-assets.sh"
)

// pinned says whether what the description calls itself is what would be built.
func (d *description) pinned(root string) error {
	var errs []error
	if d.Kubernetes.Source == modules {
		errs = append(errs, requires(root, kubernetesModule, "k8s.io/kubernetes", d.Kubernetes.Version))
	}
	for _, m := range d.Modules {
		errs = append(errs, requires(root, m.Folder, m.Module, m.Version))
	}
	// The sandbox is no image that anybody asks for by name; containerd must be told which it is.
	pause, ok := d.imageOf("pause")
	config, err := os.ReadFile(filepath.Join(d.dir, "files", "etc", "containerd", "config.toml"))
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("read containerd's configuration: %w", err))
	case !ok:
		errs = append(errs, errors.New("no image called pause is preloaded: no pod could start"))
	case !bytes.Contains(config, []byte(`sandbox = "`+pause.Name+`"`)):
		errs = append(errs, fmt.Errorf("containerd's configuration does not name %s as the sandbox", pause.Name))
	}
	return errors.Join(errs...)
}

// requires is nil if the module in a folder requires this version of another.
func requires(root, folder, module, version string) error {
	pin, err := required(root, folder, module)
	if err == nil && pin != version {
		return fmt.Errorf("the description says %s %s, but %s pins %s", module, version, goMod(root, folder), pin)
	}
	return err
}

// required is the version of another module that the one in a folder requires.
func required(root, folder, module string) (string, error) {
	text, err := os.ReadFile(goMod(root, folder))
	if err != nil {
		return "", fmt.Errorf("read pins: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "require "))
		if len(words) >= 2 && words[0] == module {
			return words[1], nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", goMod(root, folder), module)
}

func goMod(root, folder string) string { return filepath.Join(root, folder, "go.mod") }
