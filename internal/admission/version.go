package admission

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
)

// Kubernetes versions of workload clusters that the embedded Cluster API
// supports.
// Source: Cluster API book, version support, release 1.14.
var (
	oldestWorkload = version.MustParseSemantic("v1.31.0")
	newestMinor    = version.MustParseSemantic("v1.37.0")
)

// validateVersion refuses what is out of the supported range. The form is
// checked by the schema.
func validateVersion(path *field.Path, value string) field.ErrorList {
	v, err := version.ParseSemantic(value)
	if err != nil {
		return field.ErrorList{field.Invalid(path, value, "must be of the form vX.Y.Z, such as v1.36.3")}
	}
	if v.LessThan(oldestWorkload) || v.Major() > newestMinor.Major() || v.Minor() > newestMinor.Minor() {
		return field.ErrorList{field.Invalid(path, value,
			fmt.Sprintf("is out of the supported range: use v%d.%d.x to v%d.%d.x",
				oldestWorkload.Major(), oldestWorkload.Minor(), newestMinor.Major(), newestMinor.Minor()))}
	}
	return nil
}

// validateVersionChange refuses what kubeadm cannot do: going back, and leaving
// out a minor version.
func validateVersionChange(path *field.Path, from, to string) field.ErrorList {
	was, err := version.ParseSemantic(from)
	if err != nil {
		return nil
	}
	is, err := version.ParseSemantic(to)
	if err != nil {
		return nil
	}
	switch {
	case is.LessThan(was):
		return field.ErrorList{field.Invalid(path, to, fmt.Sprintf("a cluster cannot go back from %s: keep it, or make a new WorkloadCluster", from))}
	case is.Major() != was.Major() || is.Minor() > was.Minor()+1:
		return field.ErrorList{field.Invalid(path, to,
			fmt.Sprintf("leaves out a minor version: from %s go to v%d.%d.x first", from, was.Major(), was.Minor()+1))}
	}
	return nil
}
