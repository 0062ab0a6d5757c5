package testenv

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

func repositoryRoot() (string, error) {
	_, file, _, ok := runtime.Caller(0)
	if !ok {
		return "", fmt.Errorf("the place of this source file is unknown")
	}
	return filepath.Join(filepath.Dir(file), "..", ".."), nil
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
