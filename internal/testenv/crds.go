package testenv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

// repositoryRoot is the folder of go.mod. Tests run in the folder of their package,
// and binaries that are built with -trimpath do not know where their sources are.
func repositoryRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", err
	}
	return moduleRoot(folder)
}

func moduleRoot(start string) (string, error) {
	for folder := start; ; folder = filepath.Dir(folder) {
		switch _, err := os.Stat(filepath.Join(folder, "go.mod")); {
		case err == nil:
			return folder, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", fmt.Errorf("looking for go.mod: %w", err)
		case folder == filepath.Dir(folder):
			return "", fmt.Errorf("no go.mod in %s or above it: run the tests within the module", start)
		}
	}
}

// readCRDs reads the definitions of Capstan and Cluster API. Conversion is taken
// out of them: no webhook runs, and tests use the stored versions only.
func readCRDs() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	root, err := repositoryRoot()
	if err != nil {
		return nil, err
	}
	var crds []*apiextensionsv1.CustomResourceDefinition
	for _, folder := range []string{"config/crd/bases", "config/capi/crd"} {
		paths, err := filepath.Glob(filepath.Join(root, folder, "*.yaml"))
		if err != nil {
			return nil, err
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("%s holds no definitions", folder)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			crd := &apiextensionsv1.CustomResourceDefinition{}
			if err := yaml.Unmarshal(data, crd); err != nil {
				return nil, fmt.Errorf("parsing %s: %w", path, err)
			}
			crd.Spec.Conversion = nil
			crds = append(crds, crd)
		}
	}
	return crds, nil
}
