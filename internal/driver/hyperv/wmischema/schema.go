package wmischema

import (
	"bufio"
	"embed"
	"fmt"
	"strings"
	"sync"
)

// Namespaces that there are schemas of.
const (
	Virtualization = `root\virtualization\v2`
	Cluster        = `root\mscluster`
	CIMv2          = `root\cimv2`
)

// Class is a WMI class.
type Class struct {
	Name string
	// Super is the class it inherits from, nil for none.
	Super      *Class
	properties map[string]Type
	// declared are the names of the properties as Windows writes them.
	declared map[string]string
	methods  map[string]Method
}

// Type is a type of CIM: boolean, string, uint16, ref:Msvm_ComputerSystem, any.
type Type struct {
	Name  string
	Array bool
}

// Method is a method of a class.
type Method struct {
	Name string
	// In and Out are its parameters.
	In, Out map[string]Type
	// Returns tells whether there is a ReturnValue.
	Returns bool
}

// Property returns the type of a property, inherited ones too. Names of WMI have no case.
func (c *Class) Property(name string) (Type, bool) {
	for ; c != nil; c = c.Super {
		if t, ok := c.properties[strings.ToLower(name)]; ok {
			return t, true
		}
	}
	return Type{}, false
}

// Declared returns the name of a property as Windows writes it.
func (c *Class) Declared(name string) string {
	for ; c != nil; c = c.Super {
		if declared, ok := c.declared[strings.ToLower(name)]; ok {
			return declared
		}
	}
	return name
}

// Method returns a method, inherited ones too.
func (c *Class) Method(name string) (Method, bool) {
	for ; c != nil; c = c.Super {
		if m, ok := c.methods[strings.ToLower(name)]; ok {
			return m, true
		}
	}
	return Method{}, false
}

// Is tells whether the class is another one, or inherits from it.
func (c *Class) Is(name string) bool {
	for ; c != nil; c = c.Super {
		if strings.EqualFold(c.Name, name) {
			return true
		}
	}
	return false
}

// Find returns a class of a namespace.
func Find(namespace, class string) (*Class, bool) {
	c, ok := load()[strings.ToLower(namespace)][strings.ToLower(class)]
	return c, ok
}

//go:embed *.txt
var files embed.FS

// load reads the schemas. They are part of the program, so whatever is wrong with them is a fault of the program.
var load = sync.OnceValue(func() map[string]map[string]*Class {
	all := map[string]map[string]*Class{}
	entries, err := files.ReadDir(".")
	if err != nil {
		panic(err)
	}
	for _, entry := range entries {
		text, err := files.ReadFile(entry.Name())
		if err != nil {
			panic(err)
		}
		namespace, classes, err := parse(string(text))
		if err != nil {
			panic(fmt.Sprintf("%s: %v", entry.Name(), err))
		}
		all[namespace] = classes
	}
	return all
})

func parse(text string) (namespace string, classes map[string]*Class, err error) {
	classes = map[string]*Class{}
	supers := map[*Class]string{}
	var current *Class
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		line := lines.Text()
		member, indented := strings.CutPrefix(line, "\t")
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "namespace "):
			namespace = strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(line, "namespace "), "/", `\`))
		case !indented:
			name, super, _ := strings.Cut(line, " : ")
			current = &Class{Name: name, properties: map[string]Type{}, declared: map[string]string{}, methods: map[string]Method{}}
			classes[strings.ToLower(name)], supers[current] = current, super
		case current == nil:
			return "", nil, fmt.Errorf("%q is of no class", member)
		default:
			if err := current.add(member); err != nil {
				return "", nil, fmt.Errorf("class %s: %w", current.Name, err)
			}
		}
	}
	for c, super := range supers {
		if super == "" {
			continue
		}
		if c.Super = classes[strings.ToLower(super)]; c.Super == nil {
			return "", nil, fmt.Errorf("class %s inherits from %s, which is not there", c.Name, super)
		}
	}
	return namespace, classes, lines.Err()
}

// add reads a property ("name type") or a method ("name(parameters) result").
func (c *Class) add(member string) error {
	name, rest, isMethod := strings.Cut(member, "(")
	if !isMethod {
		property, kind, ok := strings.Cut(member, " ")
		if !ok {
			return fmt.Errorf("%q is no property", member)
		}
		c.properties[strings.ToLower(property)] = typeOf(kind)
		c.declared[strings.ToLower(property)] = property
		return nil
	}
	parameters, result, ok := strings.Cut(rest, ")")
	if !ok {
		return fmt.Errorf("%q is no method", member)
	}
	m := Method{Name: name, In: map[string]Type{}, Out: map[string]Type{}, Returns: result != ""}
	for _, p := range strings.Split(parameters, ", ") {
		if p == "" {
			continue
		}
		words := strings.Fields(p)
		if len(words) != 3 {
			return fmt.Errorf("method %s: %q is no parameter", name, p)
		}
		if strings.HasPrefix(words[0], "in") {
			m.In[strings.ToLower(words[1])] = typeOf(words[2])
		}
		if strings.HasSuffix(words[0], "out") {
			m.Out[strings.ToLower(words[1])] = typeOf(words[2])
		}
	}
	c.methods[strings.ToLower(name)] = m
	return nil
}

func typeOf(kind string) Type {
	name, array := strings.CutSuffix(kind, "[]")
	return Type{Name: name, Array: array}
}
