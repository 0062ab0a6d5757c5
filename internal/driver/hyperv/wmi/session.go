package wmi

import "context"

// Namespaces that the driver speaks to.
const (
	Virtualization = `root\virtualization\v2`
	Cluster        = `root\mscluster`
	CIMv2          = `root\cimv2`
)

// Values are properties or parameters by name. Those that come from WMI are nil, bool, string, numbers
// or []any of these: 64-bit numbers, times and references are strings, 16-bit and 32-bit ones int32.
// Those that go there may also be []string.
type Values map[string]any

// Instance is an object as it was when it was asked for.
type Instance struct {
	// Path names the object in calls. It is opaque.
	Path  string
	Class string
	// Values are the properties that were asked for.
	Values Values
}

// Query asks for the instances of a class and of those that inherit from it.
type Query struct {
	Namespace, Class string
	// Where is what properties have to equal.
	Where Values
	// Properties are those that are returned.
	Properties []string
}

// Association is a way from an object to others.
type Association struct {
	// Through is the class of the association, Class that of the objects at its other end.
	Through, Class string
	Properties     []string
}

// Draft is an instance that is handed to a method as text: a new one of a class, or, if Of is set, a copy
// of one that exists.
type Draft struct {
	Namespace, Class string
	Of               string
	Set              Values
}

// Session is a connection to the WMI of one host. It may be used by several goroutines. All of its
// errors are an *Error, or the context's.
type Session interface {
	// Query returns the instances that a query selects.
	Query(ctx context.Context, query Query) ([]Instance, error)
	// Get returns one instance.
	Get(ctx context.Context, path string, properties ...string) (Instance, error)
	// Related returns the instances at the other end of an association.
	Related(ctx context.Context, path string, association Association) ([]Instance, error)
	// Text returns a draft as methods want it.
	Text(ctx context.Context, draft Draft) (string, error)
	// Put changes properties of an instance in place.
	Put(ctx context.Context, path string, set Values) error
	// Call calls a method of an instance, or of a class by ClassPath, and returns the OUT parameters that are
	// named, and ReturnValue if the method has one.
	Call(ctx context.Context, path, method string, in Values, out ...string) (Values, error)
	// Close ends the connection.
	Close()
}

// ReturnValue is what Call returns beside the OUT parameters.
const ReturnValue = "ReturnValue"

// ClassPath is the path of a class itself, for methods that need no instance.
func ClassPath(namespace, class string) string { return namespace + ":" + class }

// Dialer connects to hosts: to the one that the driver runs on, by "", and to the other nodes of its failover
// cluster, by their names.
type Dialer interface {
	Dial(ctx context.Context, host string) (Session, error)
}
