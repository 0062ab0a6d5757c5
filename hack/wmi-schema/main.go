// Command wmi-schema writes down what Windows says that its WMI classes are: the classes of
// the namespaces that Capstan speaks to, with their superclasses, properties and methods, as
// github.com/microsoft/wmi generated them from a host. The fake of internal/driver/hyperv is
// as strict as these.
//
//	go run ./hack/wmi-schema
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

const (
	module = "github.com/microsoft/wmi"
	// release is the oldest release of Windows that Capstan runs on: what its classes
	// have, the later ones have too.
	release = "server2019"
	output  = "internal/driver/hyperv/wmischema"
)

// namespaces are what is read, by the file that it is written to. Of a namespace that is not
// ours only some classes are.
var namespaces = map[string]struct {
	folder  string
	classes []string
}{
	"virtualization.txt": {folder: "root/virtualization/v2"},
	"mscluster.txt":      {folder: "root/mscluster"},
	"cimv2.txt": {folder: "root/cimv2", classes: []string{
		"Win32_ComputerSystem", "Win32_OperatingSystem", "Win32_Process", "Win32_Volume",
	}},
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "wmi-schema:", err)
		os.Exit(1)
	}
}

func run() error {
	source, err := sourceFolder()
	if err != nil {
		return err
	}
	for file, from := range namespaces {
		classes, err := readNamespace(filepath.Join(source, release, filepath.FromSlash(from.folder)))
		if err != nil {
			return err
		}
		if from.classes != nil {
			if classes, err = closure(classes, from.classes); err != nil {
				return fmt.Errorf("%s: %w", from.folder, err)
			}
		}
		text := render(from.folder, classes)
		if err := os.WriteFile(filepath.Join(output, file), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write the schema of %s: %w", from.folder, err)
		}
	}
	return nil
}

// sourceFolder is where the module's sources lie, at the version of go.mod.
func sourceFolder() (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", module).Output()
	if err != nil {
		return "", fmt.Errorf("find the sources of %s: %w", module, err)
	}
	var found struct{ Dir string }
	if err := json.Unmarshal(out, &found); err != nil || found.Dir == "" {
		return "", fmt.Errorf("find the sources of %s in %q: %w", module, out, err)
	}
	return found.Dir, nil
}

// closure is the named classes and what they inherit from.
func closure(all map[string]*class, names []string) (map[string]*class, error) {
	out := map[string]*class{}
	for _, name := range names {
		for name != "" {
			c, ok := all[name]
			if !ok {
				return nil, fmt.Errorf("there is no class %s", name)
			}
			out[name], name = c, c.super
		}
	}
	return out, nil
}
