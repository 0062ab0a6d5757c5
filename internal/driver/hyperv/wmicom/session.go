//go:build windows

package wmicom

import (
	"context"
	"fmt"

	"github.com/go-ole/go-ole"
	"github.com/go-ole/go-ole/oleutil"
	cim "github.com/microsoft/wmi/pkg/wmiinstance"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

var _ wmi.Session = (*session)(nil)

// Query implements wmi.Session.
func (s *session) Query(ctx context.Context, query wmi.Query) ([]wmi.Instance, error) {
	return do(ctx, s, "query "+query.Class, query.Namespace, func(c *cim.WmiSession) ([]wmi.Instance, error) {
		found, err := c.PerformRawQuery(query.WQL())
		if err != nil {
			return nil, err
		}
		return readAll(found, query.Properties)
	})
}

// Get implements wmi.Session.
func (s *session) Get(ctx context.Context, path string, properties ...string) (wmi.Instance, error) {
	return do(ctx, s, "get "+path, namespaceOf(path), func(c *cim.WmiSession) (wmi.Instance, error) {
		object, err := find(c, path)
		if err != nil {
			return wmi.Instance{}, err
		}
		defer release(object)
		return read(object.ToIDispatch(), properties)
	})
}

// Related implements wmi.Session.
func (s *session) Related(ctx context.Context, path string, to wmi.Association) ([]wmi.Instance, error) {
	doing := fmt.Sprintf("find the %s of %s", to.Class, path)
	return do(ctx, s, doing, namespaceOf(path), func(c *cim.WmiSession) ([]wmi.Instance, error) {
		object, err := find(c, path)
		if err != nil {
			return nil, err
		}
		defer release(object)
		set, err := oleutil.CallMethod(object.ToIDispatch(), "Associators_", to.Through, to.Class)
		if err != nil {
			return nil, err
		}
		defer release(set)
		entries, err := enumerate(set.ToIDispatch())
		if err != nil {
			return nil, err
		}
		return readAll(entries, to.Properties)
	})
}

// Text implements wmi.Session.
func (s *session) Text(ctx context.Context, draft wmi.Draft) (string, error) {
	namespace, path := draft.Namespace, draft.Class
	if draft.Of != "" {
		namespace, path = namespaceOf(draft.Of), draft.Of
	}
	return do(ctx, s, "draft "+path, namespace, func(c *cim.WmiSession) (string, error) {
		object, err := find(c, path)
		if err != nil {
			return "", err
		}
		defer release(object)
		if draft.Of == "" {
			class := object
			if object, err = oleutil.CallMethod(class.ToIDispatch(), "SpawnInstance_"); err != nil {
				return "", err
			}
			defer release(object)
		}
		if err := assign(object.ToIDispatch(), draft.Set); err != nil {
			return "", err
		}
		// 1 is WMI's DTD 2.0 of CIM's XML, which methods of Hyper-V take.
		text, err := oleutil.CallMethod(object.ToIDispatch(), "GetText_", 1)
		if err != nil {
			return "", err
		}
		defer release(text)
		return text.ToString(), nil
	})
}

// Put implements wmi.Session.
func (s *session) Put(ctx context.Context, path string, set wmi.Values) error {
	_, err := do(ctx, s, "change "+path, namespaceOf(path), func(c *cim.WmiSession) (struct{}, error) {
		object, err := find(c, path)
		if err != nil {
			return struct{}{}, err
		}
		defer release(object)
		if err := assign(object.ToIDispatch(), set); err != nil {
			return struct{}{}, err
		}
		result, err := oleutil.CallMethod(object.ToIDispatch(), "Put_")
		if err != nil {
			return struct{}{}, err
		}
		release(result)
		return struct{}{}, nil
	})
	return err
}

// Call implements wmi.Session.
func (s *session) Call(ctx context.Context, path, method string, in wmi.Values, out ...string) (wmi.Values, error) {
	doing := fmt.Sprintf("call %s of %s", method, path)
	return do(ctx, s, doing, namespaceOf(path), func(c *cim.WmiSession) (wmi.Values, error) {
		object, err := find(c, path)
		if err != nil {
			return nil, err
		}
		defer release(object)
		arguments := []any{method}
		if len(in) > 0 {
			parameters, err := parametersOf(object.ToIDispatch(), method, in)
			if err != nil {
				return nil, err
			}
			defer release(parameters)
			arguments = append(arguments, parameters)
		}
		result, err := oleutil.CallMethod(object.ToIDispatch(), "ExecMethod_", arguments...)
		if err != nil {
			return nil, err
		}
		defer release(result)
		return results(result, out)
	})
}

// parametersOf fills the IN parameters of a method. One that the method has not is an error: COM would not say so.
func parametersOf(object *ole.IDispatch, method string, in wmi.Values) (*ole.VARIANT, error) {
	methods, err := oleutil.GetProperty(object, "Methods_")
	if err != nil {
		return nil, err
	}
	defer release(methods)
	described, err := oleutil.CallMethod(methods.ToIDispatch(), "Item", method)
	if err != nil {
		return nil, err
	}
	defer release(described)
	class, err := oleutil.GetProperty(described.ToIDispatch(), "InParameters")
	if err != nil {
		return nil, err
	}
	defer release(class)
	if class.ToIDispatch() == nil {
		return nil, fmt.Errorf("method %s has no parameters", method)
	}
	parameters, err := oleutil.CallMethod(class.ToIDispatch(), "SpawnInstance_")
	if err != nil {
		return nil, err
	}
	if err := assign(parameters.ToIDispatch(), in); err != nil {
		release(parameters)
		return nil, err
	}
	return parameters, nil
}

// results reads what a method returned. A method without any has no object of results.
func results(result *ole.VARIANT, out []string) (wmi.Values, error) {
	values := wmi.Values{}
	object := result.ToIDispatch()
	if object == nil {
		return values, nil
	}
	returned, err := property(object, wmi.ReturnValue)
	switch {
	case err == nil:
		values[wmi.ReturnValue] = returned
	case !hasNone(codeOf(err)):
		return nil, fmt.Errorf("read what the method returned: %w", err)
	}
	for _, name := range out {
		if values[name], err = property(object, name); err != nil {
			return nil, fmt.Errorf("read OUT parameter %s: %w", name, err)
		}
	}
	return values, nil
}
