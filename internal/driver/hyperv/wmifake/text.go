package wmifake

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmischema"
)

// embed is an instance as text, in the form of GetText_.
func embed(class *wmischema.Class, values map[string]any) string {
	var out strings.Builder
	fmt.Fprintf(&out, `<INSTANCE CLASSNAME="%s">`, class.Name)
	value := func(v any) {
		out.WriteString("<VALUE>")
		switch v := v.(type) {
		case string:
			_ = xml.EscapeText(&out, []byte(v)) // a builder takes everything
		case int64:
			out.WriteString(strconv.FormatInt(v, 10))
		case bool:
			out.WriteString(strings.ToUpper(strconv.FormatBool(v)))
		}
		out.WriteString("</VALUE>")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		kind, _ := class.Property(name)
		if kind.Array {
			fmt.Fprintf(&out, `<PROPERTY.ARRAY NAME="%s" TYPE="%s"><VALUE.ARRAY>`, class.Declared(name), kind.Name)
			switch list := values[name].(type) {
			case []string:
				for _, v := range list {
					value(v)
				}
			case []int64:
				for _, v := range list {
					value(v)
				}
			}
			out.WriteString("</VALUE.ARRAY></PROPERTY.ARRAY>")
			continue
		}
		fmt.Fprintf(&out, `<PROPERTY NAME="%s" TYPE="%s">`, class.Declared(name), kind.Name)
		value(values[name])
		out.WriteString("</PROPERTY>")
	}
	out.WriteString("</INSTANCE>")
	return out.String()
}

// draft is an embedded instance that a method was given.
type draft struct {
	object
}

// read makes an instance of a text. One that is not of the class is refused, as by Hyper-V.
func read(namespace, text, class string) (draft, bool) {
	name, values, err := wmi.ParseText(text)
	if err != nil {
		return draft{}, false
	}
	c, ok := wmischema.Find(namespace, name)
	if !ok || !c.Is(class) {
		return draft{}, false
	}
	d := draft{object{class: c, namespace: namespace, values: map[string]any{}}}
	for property, value := range values {
		kind, ok := c.Property(property)
		if !ok {
			return draft{}, false
		}
		n, err := native(value, kind)
		if err != nil {
			return draft{}, false
		}
		d.set(property, n)
	}
	return d, true
}
