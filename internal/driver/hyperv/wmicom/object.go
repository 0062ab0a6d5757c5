//go:build windows

package wmicom

import (
	"fmt"
	"strings"

	"github.com/go-ole/go-ole"
	"github.com/go-ole/go-ole/oleutil"
	cim "github.com/microsoft/wmi/pkg/wmiinstance"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// namespaceOf is the namespace in a path: \\HOST\root\virtualization\v2:Class.Key="..." .
func namespaceOf(path string) string {
	namespace, _, _ := strings.Cut(path, ":")
	if rest, remote := strings.CutPrefix(namespace, `\\`); remote {
		_, namespace, _ = strings.Cut(rest, `\`)
	}
	return namespace
}

// find gets an object or class. The connection's own namespace is left out of the path: a path with the host's
// name would be asked for over the network.
func find(c *cim.WmiSession, path string) (*ole.VARIANT, error) {
	if _, relative, ok := strings.Cut(path, ":"); ok {
		path = relative
	}
	return oleutil.CallMethod(c.Session, "Get", path)
}

func release(v *ole.VARIANT) { _ = v.Clear() }

// property reads a property as COM gives it.
func property(object *ole.IDispatch, name string) (any, error) {
	value, err := oleutil.GetProperty(object, name)
	if err != nil {
		return nil, err
	}
	defer release(value)
	if value.VT == ole.VT_NULL || value.VT == ole.VT_EMPTY {
		return nil, nil
	}
	if array := value.ToArray(); array != nil {
		return array.ToValueArray(), nil
	}
	return value.Value(), nil
}

func read(object *ole.IDispatch, properties []string) (wmi.Instance, error) {
	out := wmi.Instance{Values: wmi.Values{}}
	var err error
	if out.Path, err = inPath(object, "Path"); err != nil {
		return out, fmt.Errorf("read the path of an object: %w", err)
	}
	if out.Class, err = inPath(object, "Class"); err != nil {
		return out, fmt.Errorf("read the class of an object: %w", err)
	}
	for _, name := range properties {
		if out.Values[name], err = property(object, name); err != nil {
			return out, fmt.Errorf("read %s of %s: %w", name, out.Path, err)
		}
	}
	return out, nil
}

// inPath is a part of an object's path.
func inPath(object *ole.IDispatch, part string) (string, error) {
	path, err := oleutil.GetProperty(object, "Path_")
	if err != nil {
		return "", err
	}
	defer release(path)
	text, err := property(path.ToIDispatch(), part)
	if err != nil {
		return "", err
	}
	out, _ := text.(string)
	return out, nil
}

// assign sets properties of an instance, or parameters of a method. nil sets nothing.
func assign(object *ole.IDispatch, set wmi.Values) error {
	properties, err := oleutil.GetProperty(object, "Properties_")
	if err != nil {
		return err
	}
	defer release(properties)
	for name, value := range set {
		if value == nil {
			continue
		}
		item, err := oleutil.CallMethod(properties.ToIDispatch(), "Item", name)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		done, err := oleutil.PutProperty(item.ToIDispatch(), "Value", value)
		release(item)
		if err != nil {
			return fmt.Errorf("set %s: %w", name, err)
		}
		release(done)
	}
	return nil
}

func enumerate(set *ole.IDispatch) (*ole.IEnumVARIANT, error) {
	start, err := set.GetProperty("_NewEnum")
	if err != nil {
		return nil, err
	}
	defer release(start)
	return start.ToIUnknown().IEnumVARIANT(ole.IID_IEnumVariant)
}

func readAll(entries *ole.IEnumVARIANT, properties []string) ([]wmi.Instance, error) {
	if entries == nil {
		return nil, nil
	}
	defer entries.Release()
	var out []wmi.Instance
	for {
		entry, length, err := entries.Next(1)
		if err != nil {
			return nil, err
		}
		if length == 0 {
			return out, nil
		}
		instance, err := read(entry.ToIDispatch(), properties)
		release(&entry)
		if err != nil {
			return nil, err
		}
		out = append(out, instance)
	}
}
