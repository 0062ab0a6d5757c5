package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	out := flag.String("out", filepath.Join("config", "capi"), "folder to write the manifests to")
	flag.Parse()

	if err := run(*out); err != nil {
		fmt.Fprintln(os.Stderr, "capi-manifests:", err)
		os.Exit(1)
	}
}

func run(out string) error {
	mod, err := findModule()
	if err != nil {
		return err
	}
	files, err := generate(mod)
	if err != nil {
		return err
	}
	return write(out, files)
}

// generate returns the content of every file by its slash-separated path.
func generate(mod module) (map[string][]byte, error) {
	files := map[string][]byte{}

	crds, err := customResourceDefinitions(mod)
	if err != nil {
		return nil, err
	}
	for name, crd := range crds {
		if files["crd/"+name], err = encode(mod, crd); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", name, err)
		}
	}

	configurations, err := webhookConfigurations(mod)
	if err != nil {
		return nil, err
	}
	if files["webhook/manifests.yaml"], err = encode(mod, configurations...); err != nil {
		return nil, fmt.Errorf("encoding the webhook configurations: %w", err)
	}

	roles, err := clusterRoles(mod)
	if err != nil {
		return nil, err
	}
	if files["rbac/role.yaml"], err = encode(mod, roles...); err != nil {
		return nil, fmt.Errorf("encoding the cluster roles: %w", err)
	}

	kustomization, err := encode(mod, kustomization(files))
	if err != nil {
		return nil, fmt.Errorf("encoding the kustomization: %w", err)
	}
	files["kustomization.yaml"] = kustomization
	return files, nil
}
