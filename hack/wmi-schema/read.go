package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
)

// class is a WMI class as one of the module's generated files has it.
type class struct {
	name, super string
	properties  []typedName
	methods     []method
}

type typedName struct{ name, kind string }

type method struct {
	name       string
	parameters []parameter
	// returns tells whether there is a ReturnValue.
	returns bool
}

type parameter struct {
	typedName
	in, out bool
}

// readNamespace reads the classes of a package that was generated from a namespace.
func readNamespace(folder string) (map[string]*class, error) {
	paths, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", folder, err)
	}
	positions := token.NewFileSet()
	files := map[string]*ast.File{}
	r := reader{classes: map[string]*class{}, enumerations: map[string]bool{}}
	for _, path := range paths {
		file, err := parser.ParseFile(positions, path, nil, parser.ParseComments)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		files[path] = file
		r.readTypes(file)
	}
	for path, file := range files {
		if err := r.readMethods(file); err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
	}
	r.resolve()
	if len(r.classes) == 0 {
		return nil, fmt.Errorf("read %s: there are no classes", folder)
	}
	return r.classes, nil
}

type reader struct {
	classes map[string]*class
	// enumerations are the names that stand for a number.
	enumerations map[string]bool
}

func (r reader) readTypes(file *ast.File) {
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		body, ok := spec.Type.(*ast.StructType)
		if !ok {
			r.enumerations[spec.Name.Name] = true
			return false
		}
		c := &class{name: spec.Name.Name}
		for _, field := range body.Fields.List {
			if len(field.Names) == 0 {
				// What is embedded is the superclass; that of another package is COM's own object.
				if super := kindOf(field.Type); !strings.Contains(super, ".") {
					c.super = super
				}
				continue
			}
			c.properties = append(c.properties, typedName{field.Names[0].Name, kindOf(field.Type)})
		}
		r.classes[c.name] = c
		return false
	})
}

// readMethods finds what calls a method of WMI. The direction of a parameter stands in a comment before it.
func (r reader) readMethods(file *ast.File) error {
	for _, declaration := range file.Decls {
		f, ok := declaration.(*ast.FuncDecl)
		if !ok || f.Recv == nil {
			continue
		}
		c := r.classes[kindOf(f.Recv.List[0].Type)]
		name := invoked(f.Body)
		if c == nil || name == "" {
			continue
		}
		m := method{name: name, returns: f.Type.Results.NumFields() > 1}
		after := f.Type.Params.Opening
		for _, field := range f.Type.Params.List {
			direction := commentBetween(file, after, field.Pos())
			after = field.End()
			if strings.HasPrefix(direction, "Cust") {
				continue
			}
			p := parameter{
				typedName: typedName{field.Names[0].Name, kindOf(field.Type)},
				in:        strings.Contains(direction, "IN"), out: strings.Contains(direction, "OUT"),
			}
			if !p.in && !p.out {
				return fmt.Errorf("%s.%s: parameter %s has no direction", c.name, name, p.name)
			}
			m.parameters = append(m.parameters, p)
		}
		c.methods = append(c.methods, m)
	}
	return nil
}

// invoked is the name of the method that a function's body invokes.
func invoked(body *ast.BlockStmt) (name string) {
	ast.Inspect(body, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || !strings.HasPrefix(f.Sel.Name, "InvokeMethod") {
			return true
		}
		if text, ok := call.Args[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
			name = strings.Trim(text.Value, `"`)
		}
		return false
	})
	return name
}

func commentBetween(file *ast.File, from, to token.Pos) string {
	for _, group := range file.Comments {
		if from <= group.Pos() && group.End() <= to {
			return strings.TrimSpace(group.Text())
		}
	}
	return ""
}

// kindOf is a type as it is written, without pointers.
func kindOf(t ast.Expr) string {
	switch t := t.(type) {
	case *ast.Ident:
		return t.Name
	case *ast.StarExpr:
		return kindOf(t.X)
	case *ast.ArrayType:
		return kindOf(t.Elt) + "[]"
	case *ast.SelectorExpr:
		return kindOf(t.X) + "." + t.Sel.Name
	case *ast.InterfaceType:
		return "any"
	default:
		return fmt.Sprintf("%T", t)
	}
}

// corrections are what the module has wrong: it makes numbers of all values that have names.
var corrections = map[string]string{
	"Msvm_VirtualSystemSettingData.VirtualSystemSubType": "string", // "Microsoft:Hyper-V:SubType:2", as the module itself sets it
}

// resolve says of every type that is none of CIM's own whether it is a number or a reference to an object.
func (r reader) resolve() {
	plain := func(kind string) string {
		element, array := strings.CutSuffix(kind, "[]")
		switch {
		case r.enumerations[element]:
			// The module does not tell which size; COM gives all of them alike.
			element = "uint16"
		case element == "bool":
			element = "boolean"
		case strings.HasPrefix(element, "int"):
			element = "s" + element
		case strings.HasPrefix(element, "float"):
			element = "real" + strings.TrimPrefix(element, "float")
		case element == "any" || element == "string" || strings.HasPrefix(element, "uint"):
		default:
			element = "ref:" + element[strings.LastIndex(element, ".")+1:]
		}
		if array {
			element += "[]"
		}
		return element
	}
	for _, c := range r.classes {
		for i := range c.properties {
			p := &c.properties[i]
			p.kind = plain(p.kind)
			if kind, wrong := corrections[c.name+"."+p.name]; wrong {
				p.kind = kind
			}
		}
		for _, m := range c.methods {
			for i := range m.parameters {
				m.parameters[i].kind = plain(m.parameters[i].kind)
			}
		}
	}
}
