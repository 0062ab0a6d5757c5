//go:build windows

package wmicom

import (
	"fmt"

	"github.com/go-ole/go-ole"
	"github.com/go-ole/go-ole/oleutil"
	cim "github.com/microsoft/wmi/pkg/wmiinstance"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

// find gets an object or class.
func find(c *cim.WmiSession, path string) (*ole.VARIANT, error) {
	return oleutil.CallMethod(c.Session, "Get", relative(path))
}

func release(v *ole.VARIANT) { _ = v.Clear() }

// property reads a property as COM gives it.
func property(object *ole.IDispatch, name string) (any, error) {
	value, err := oleutil.GetProperty(object, name)
	if err != nil {
		return nil, err
	}
	defer release(value)
	switch array := value.ToArray(); {
	case value.VT == ole.VT_NULL, value.VT == ole.VT_EMPTY:
		return nil, nil
	case value.VT == ole.VT_BOOL:
		// Of the rest of a VARIANT nothing is known.
		return uint16(value.Val) != 0, nil
	case array != nil:
		return plain(array.ToValueArray())
	default:
		return plain(value.Value())
	}
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
		more, failed := enumerated(codeOf(err), length)
		if failed {
			release(&entry)
			return nil, err
		}
		if !more {
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
