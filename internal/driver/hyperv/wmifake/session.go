package wmifake

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmischema"
)

// session is a connection of a client to a host.
type session struct {
	client *Client
	to     *host
}

var _ wmi.Session = (*session)(nil)

// Close implements wmi.Session.
func (s *session) Close() {}

// wrong is a call that no host could carry out: a fault of the driver's.
func (s *session) wrong(doing string, code uint32, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	s.client.world.reporter.Helper()
	s.client.world.reporter.Errorf("%s: %v", doing, err)
	return &wmi.Error{Doing: doing, Code: code, Err: err}
}

// enter begins a call to a namespace, and returns the objects there.
func (s *session) enter(ctx context.Context, doing, namespace, class, method string) (*graph, error) {
	if err := s.client.call(ctx, class, method); err != nil {
		return nil, err
	}
	w := s.client.world
	if s.client.cut || s.to.down || (s.to != s.client.host && s.client.host.isolated) {
		return nil, &wmi.Error{Doing: doing, Code: wmi.CodeServerUnavailable}
	}
	switch strings.ToLower(namespace) {
	case wmi.Cluster:
		if w.cluster == nil {
			return nil, &wmi.Error{Doing: doing, Code: wmi.CodeInvalidNamespace}
		}
		if s.to.isolated {
			return nil, &wmi.Error{Doing: doing, Code: wmi.CodeClusterNotRunning}
		}
		return w.cluster.view(s.to), nil
	case wmi.Virtualization, wmi.CIMv2:
		return &s.to.graph, nil
	default:
		return nil, s.wrong(doing, wmi.CodeInvalidNamespace, "there is no namespace %s", namespace)
	}
}

// check finds a class and tells whether it has all the properties.
func (s *session) check(doing, namespace, class string, properties []string) (*wmischema.Class, error) {
	c, ok := wmischema.Find(namespace, class)
	if !ok {
		return nil, s.wrong(doing, wmi.CodeInvalidClass, "namespace %s has no class %s", namespace, class)
	}
	for _, name := range properties {
		if _, ok := c.Property(name); !ok {
			return nil, s.wrong(doing, wmi.CodeInvalidQuery, "class %s has no property %s", class, name)
		}
	}
	return c, nil
}

// Query implements wmi.Session.
func (s *session) Query(ctx context.Context, q wmi.Query) ([]wmi.Instance, error) {
	w := s.client.world
	w.mu.Lock()
	defer w.unlock()
	doing := "query " + q.Class
	g, err := s.enter(ctx, doing, q.Namespace, q.Class, "Query")
	if err != nil {
		return nil, err
	}
	c, err := s.check(doing, q.Namespace, q.Class, append(slices.Collect(maps.Keys(q.Where)), q.Properties...))
	if err != nil {
		return nil, err
	}
	s.client.record(c.Name, "Query", q.Where, q.Properties)
	var out []wmi.Instance
	for _, o := range g.of(q.Class) {
		w.pass(o)
		matches := true
		for name, want := range q.Where {
			kind, _ := c.Property(name)
			value, err := native(want, kind)
			if err != nil {
				return nil, s.wrong(doing, wmi.CodeInvalidQuery, "property %s: %w", name, err)
			}
			have := o.get(name)
			if a, ok := have.(string); ok {
				// WQL compares without case.
				b, _ := value.(string)
				matches = matches && strings.EqualFold(a, b)
				continue
			}
			matches = matches && have == value
		}
		if matches {
			out = append(out, snapshot(o, q.Properties))
		}
	}
	return out, s.client.after(q.Class, "Query")
}

// at finds the object of a path.
func (s *session) at(ctx context.Context, doing, path, method string) (*graph, *object, error) {
	namespace, class := split(path)
	g, err := s.enter(ctx, doing, namespace, class, method)
	if err != nil {
		return nil, nil, err
	}
	o := g.find(path)
	if o == nil {
		return nil, nil, &wmi.Error{Doing: doing, Code: wmi.CodeNotFound}
	}
	return g, o, nil
}

// split is the namespace and class of a path.
func split(path string) (namespace, class string) {
	namespace, rest, _ := strings.Cut(path, ":")
	if remote, ok := strings.CutPrefix(namespace, `\\`); ok {
		_, namespace, _ = strings.Cut(remote, `\`)
	}
	class, _, _ = strings.Cut(rest, ".")
	class, _, _ = strings.Cut(class, "=")
	return namespace, class
}

// Get implements wmi.Session.
func (s *session) Get(ctx context.Context, path string, properties ...string) (wmi.Instance, error) {
	w := s.client.world
	w.mu.Lock()
	defer w.unlock()
	doing := "get " + path
	g, o, err := s.at(ctx, doing, path, "Get")
	if err != nil {
		return wmi.Instance{}, err
	}
	if _, err := s.check(doing, o.namespace, o.class.Name, properties); err != nil {
		return wmi.Instance{}, err
	}
	s.client.record(o.class.Name, "Get", nil, properties)
	w.pass(o)
	if o.class.Is("CIM_ConcreteJob") && !w.look(g, o) {
		return wmi.Instance{}, &wmi.Error{Doing: doing, Code: wmi.CodeNotFound}
	}
	return snapshot(o, properties), s.client.after(o.class.Name, "Get")
}

// Related implements wmi.Session.
func (s *session) Related(ctx context.Context, path string, to wmi.Association) ([]wmi.Instance, error) {
	w := s.client.world
	w.mu.Lock()
	defer w.unlock()
	doing := fmt.Sprintf("find the %s of %s", to.Class, path)
	g, o, err := s.at(ctx, doing, path, "Associators "+to.Through)
	if err != nil {
		return nil, err
	}
	if _, err := s.check(doing, o.namespace, to.Class, to.Properties); err != nil {
		return nil, err
	}
	if _, err := s.check(doing, o.namespace, to.Through, nil); err != nil {
		return nil, err
	}
	s.client.record(to.Class, "Associators by "+to.Through, nil, to.Properties)
	var out []wmi.Instance
	for _, end := range g.related(o, to.Through, to.Class) {
		w.pass(end)
		out = append(out, snapshot(end, to.Properties))
	}
	return out, s.client.after(to.Class, "Associators "+to.Through)
}

// Text implements wmi.Session. Nothing on the host changes.
func (s *session) Text(ctx context.Context, d wmi.Draft) (string, error) {
	w := s.client.world
	w.mu.Lock()
	defer w.unlock()
	doing := "draft " + d.Class
	var class *wmischema.Class
	values := map[string]any{}
	if d.Of != "" {
		_, o, err := s.at(ctx, doing, d.Of, "GetText_")
		if err != nil {
			return "", err
		}
		class = o.class
		maps.Copy(values, o.values)
	} else {
		if _, err := s.enter(ctx, doing, d.Namespace, d.Class, "SpawnInstance_"); err != nil {
			return "", err
		}
		var err error
		if class, err = s.check(doing, d.Namespace, d.Class, nil); err != nil {
			return "", err
		}
	}
	if err := s.assign(doing, class, values, d.Set); err != nil {
		return "", err
	}
	s.client.record(class.Name, "GetText_", d.Set, nil)
	return embed(class, values), s.client.after(class.Name, "GetText_")
}

func (s *session) assign(doing string, class *wmischema.Class, values map[string]any, set wmi.Values) error {
	for name, value := range set {
		kind, ok := class.Property(name)
		if !ok {
			return s.wrong(doing, wmi.CodeNotFound, "class %s has no property %s", class.Name, name)
		}
		n, err := native(value, kind)
		if err != nil {
			return s.wrong(doing, wmi.CodeInvalidParameter, "property %s of class %s: %w", name, class.Name, err)
		}
		values[strings.ToLower(name)] = n
	}
	return nil
}

// putable are the classes whose instances are changed in place. Hyper-V's are changed by methods alone.
var putable = []string{"MSCluster_ResourceGroup"}

// Put implements wmi.Session.
func (s *session) Put(ctx context.Context, path string, set wmi.Values) error {
	w := s.client.world
	w.mu.Lock()
	defer w.unlock()
	doing := "change " + path
	_, o, err := s.at(ctx, doing, path, "Put_")
	if err != nil {
		return err
	}
	if !slices.Contains(putable, o.class.Name) {
		return s.wrong(doing, wmi.CodeFailed, "instances of %s cannot be put", o.class.Name)
	}
	if err := s.assign(doing, o.class, o.values, set); err != nil {
		return err
	}
	s.client.record(o.class.Name, "Put_", set, nil)
	return s.client.after(o.class.Name, "Put_")
}

func (c *Client) record(class, method string, in wmi.Values, out []string) {
	c.world.options.Recorder.add(class, method, slices.Collect(maps.Keys(in)), out)
}

// errBadIn is a method's answer to parameters that it cannot read.
var errBadIn = errors.New("a parameter is not right")

// Call implements wmi.Session.
func (s *session) Call(ctx context.Context, path, method string, in wmi.Values, out ...string) (wmi.Values, error) {
	w := s.client.world
	w.mu.Lock()
	defer w.unlock()
	namespace, class := split(path)
	doing := fmt.Sprintf("call %s of %s", method, class)
	g, err := s.enter(ctx, doing, namespace, class, method)
	if err != nil {
		return nil, err
	}
	c, err := s.check(doing, namespace, class, nil)
	if err != nil {
		return nil, err
	}
	m, ok := c.Method(method)
	if !ok {
		return nil, s.wrong(doing, wmi.CodeInvalidMethod, "class %s has no method %s", class, method)
	}
	arguments := map[string]any{}
	for name, value := range in {
		kind, ok := m.In[strings.ToLower(name)]
		if !ok {
			return nil, s.wrong(doing, wmi.CodeInvalidParameter, "it has no IN parameter %s", name)
		}
		if arguments[strings.ToLower(name)], err = native(value, kind); err != nil {
			return nil, s.wrong(doing, wmi.CodeInvalidParameter, "parameter %s: %w", name, err)
		}
	}
	for _, name := range out {
		if _, ok := m.Out[strings.ToLower(name)]; !ok {
			return nil, s.wrong(doing, wmi.CodeInvalidParameter, "it has no OUT parameter %s", name)
		}
	}
	s.client.record(c.Name, m.Name, in, out)
	behaviour, ok := behaviours[m.Name]
	if !ok {
		return nil, s.wrong(doing, wmi.CodeInvalidMethod, "the fake host does not know how it behaves")
	}
	var self *object
	if strings.Contains(strings.TrimPrefix(path, namespace+":"), ".") || strings.HasSuffix(path, "=@") {
		if self = g.find(path); self == nil {
			return nil, &wmi.Error{Doing: doing, Code: wmi.CodeNotFound}
		}
	}
	c2 := &call{world: w, host: s.to, graph: g, self: self, object: object{values: arguments}, results: map[string]any{}}
	if err := behaviour(c2); err != nil {
		var typed *wmi.Error
		if errors.As(err, &typed) {
			return nil, typed
		}
		return nil, &wmi.Error{Doing: doing, Code: wmi.CodeInvalidParameter, Err: err}
	}
	if err := s.client.after(class, method); err != nil {
		return nil, err
	}
	return c2.answer(m, out), nil
}
