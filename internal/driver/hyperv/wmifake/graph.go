package wmifake

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmischema"
)

// object is an instance of a class. Its values are bool, int64, string and lists of these; what is not set is not
// there.
type object struct {
	class     *wmischema.Class
	namespace string
	key       string
	path      string
	values    map[string]any
}

// link is an association of two objects.
type link struct {
	through string
	from    *object
	to      *object
}

// graph is the objects that one host, or one failover cluster, has.
type graph struct {
	host    string
	objects []*object
	links   []link
}

func (o *object) get(property string) any        { return o.values[strings.ToLower(property)] }
func (o *object) text(property string) string    { s, _ := o.get(property).(string); return s }
func (o *object) number(property string) int64   { n, _ := o.get(property).(int64); return n }
func (o *object) list(property string) []string  { s, _ := o.get(property).([]string); return s }
func (o *object) set(property string, value any) { o.values[strings.ToLower(property)] = value }

// add makes an object. What it is made of is checked as strictly as what the driver says.
func (g *graph) add(namespace, class, key string, values map[string]any) *object {
	c, ok := wmischema.Find(namespace, class)
	if !ok {
		panic("the fake host has no class " + class)
	}
	o := &object{class: c, namespace: namespace, key: key, values: map[string]any{}}
	for name, value := range values {
		if _, ok := c.Property(name); !ok {
			panic(fmt.Sprintf("class %s has no property %s", class, name))
		}
		o.set(name, value)
	}
	g.rename(o)
	g.objects = append(g.objects, o)
	return o
}

func (g *graph) link(through string, from, to *object) {
	g.links = append(g.links, link{through, from, to})
}

// remove takes objects away with their associations.
func (g *graph) remove(gone ...*object) {
	g.objects = slices.DeleteFunc(g.objects, func(o *object) bool { return slices.Contains(gone, o) })
	g.links = slices.DeleteFunc(g.links, func(l link) bool { return slices.Contains(gone, l.from) || slices.Contains(gone, l.to) })
}

// move takes objects over from another graph.
func (g *graph) move(from *graph, objects ...*object) {
	for _, l := range from.links {
		if slices.Contains(objects, l.from) && slices.Contains(objects, l.to) {
			g.links = append(g.links, l)
		}
	}
	from.remove(objects...)
	g.objects = append(g.objects, objects...)
	// A path begins with the host that has the object.
	for _, o := range objects {
		g.rename(o)
		if parent := o.text("Parent"); parent != "" {
			o.set("Parent", strings.Replace(parent, `\\`+from.host+`\`, `\\`+g.host+`\`, 1))
		}
		for _, property := range []string{"HostResource", "BootSourceOrder"} {
			paths := o.list(property)
			for i := range paths {
				paths[i] = strings.Replace(paths[i], `\\`+from.host+`\`, `\\`+g.host+`\`, 1)
			}
		}
	}
}

// rename gives an object the path that it has on this host.
func (g *graph) rename(o *object) {
	o.path = `\\` + g.host + `\` + o.namespace + ":" + o.class.Name
	if o.key == "" {
		o.path += "=@"
		return
	}
	o.path += ".Key=" + strconv.Quote(o.key)
}

func (g *graph) find(path string) *object {
	for _, o := range g.objects {
		if strings.EqualFold(o.path, path) {
			return o
		}
	}
	return nil
}

// of returns the objects of a class.
func (g *graph) of(class string) []*object {
	var out []*object
	for _, o := range g.objects {
		if o.class.Is(class) {
			out = append(out, o)
		}
	}
	return out
}

// related returns the objects of a class that an association leads to, from either end.
func (g *graph) related(o *object, through, class string) []*object {
	var out []*object
	for _, l := range g.links {
		if !strings.EqualFold(l.through, through) {
			continue
		}
		if l.from == o && l.to.class.Is(class) {
			out = append(out, l.to)
		}
		if l.to == o && l.from.class.Is(class) {
			out = append(out, l.from)
		}
	}
	return out
}

// com is a value as scripting COM gives it.
func com(value any, kind wmischema.Type) any {
	switch v := value.(type) {
	case nil:
		return nil
	case []string:
		return list(v, kind)
	case []int64:
		return list(v, kind)
	case int64:
		switch kind.Name {
		case "uint64", "sint64":
			return strconv.FormatInt(v, 10)
		case "uint8":
			return uint8(v)
		case "sint8", "sint16":
			return int16(v)
		default:
			return int32(uint32(v))
		}
	default:
		return v
	}
}

func list[T any](values []T, kind wmischema.Type) any {
	out := []any{}
	for _, v := range values {
		out = append(out, com(any(v), wmischema.Type{Name: kind.Name}))
	}
	return out
}

// native is a value as WMI takes it, as an object has it.
func native(value any, kind wmischema.Type) (any, error) {
	if kind.Array {
		switch v := value.(type) {
		case []string:
			if kind.Name == "string" || strings.HasPrefix(kind.Name, "ref:") {
				return slices.Clone(v), nil
			}
		case []any:
			return nativeList(v, kind)
		}
		return nil, fmt.Errorf("%T is no list of %s", value, kind.Name)
	}
	switch {
	case kind.Name == "boolean":
		switch v := value.(type) {
		case bool:
			return v, nil
		case string:
			return strconv.ParseBool(v)
		}
	case kind.Name == "string" || strings.HasPrefix(kind.Name, "ref:"):
		if v, ok := value.(string); ok {
			return v, nil
		}
	case kind.Name == "uint64" || kind.Name == "sint64":
		if v, ok := value.(string); ok {
			return strconv.ParseInt(v, 10, 64)
		}
		// A 64-bit number that is none of COM's is lost on the way.
		return nil, fmt.Errorf("%T is no %s: COM takes a string", value, kind.Name)
	default:
		switch v := value.(type) {
		case int:
			return int64(v), nil
		case int32:
			return int64(v), nil
		case string:
			return strconv.ParseInt(v, 10, 64)
		}
	}
	return nil, fmt.Errorf("%T is no %s", value, kind.Name)
}

func nativeList(values []any, kind wmischema.Type) (any, error) {
	element := wmischema.Type{Name: kind.Name}
	var texts []string
	var numbers []int64
	for _, v := range values {
		n, err := native(v, element)
		if err != nil {
			return nil, err
		}
		switch n := n.(type) {
		case string:
			texts = append(texts, n)
		case int64:
			numbers = append(numbers, n)
		}
	}
	if numbers != nil {
		return numbers, nil
	}
	return texts, nil
}

// snapshot is an object as a session returns it.
func snapshot(o *object, properties []string) wmi.Instance {
	out := wmi.Instance{Path: o.path, Class: o.class.Name, Values: wmi.Values{}}
	for _, name := range properties {
		kind, _ := o.class.Property(name)
		out.Values[name] = com(o.get(name), kind)
	}
	return out
}
