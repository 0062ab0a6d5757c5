package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"sigs.k8s.io/yaml"
)

const modulePath = "sigs.k8s.io/cluster-api"

// providers are the folders of the three Cluster API managers that Capstan's
// manager stands in for.
var providers = []string{"core", "bootstrap/kubeadm", "controlplane/kubeadm"}

// module is the pinned Cluster API module on disk.
type module struct {
	Dir     string
	Version string
}

func findModule() (module, error) {
	cmd := exec.Command("go", "list", "-m", "-json", modulePath)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return module{}, fmt.Errorf("asking go for the folder of %s: %w", modulePath, err)
	}
	var mod module
	if err := json.Unmarshal(out, &mod); err != nil {
		return module{}, fmt.Errorf("reading go's answer about %s: %w", modulePath, err)
	}
	if mod.Dir == "" {
		return module{}, fmt.Errorf("%s %s is not in the module cache: run go mod download", modulePath, mod.Version)
	}
	return mod, nil
}

func (m module) path(elements ...string) string {
	return filepath.Join(append([]string{m.Dir}, elements...)...)
}

// decodeFile reads a file of exactly one YAML document.
func decodeFile(path string, into any) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading upstream's manifest: %w", err)
	}
	if err := yaml.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("decoding %s: %w", path, err)
	}
	return nil
}
