// Package kubeversion holds the rules by which the versions of Kubernetes in one
// cluster may differ. It compares versions and knows no object; what to do about
// them is decided elsewhere.
package kubeversion

import (
	"fmt"

	"k8s.io/apimachinery/pkg/util/version"
)

// MaxKubeletSkew is how many minor versions a kubelet may be behind the API server.
// Kubelets before v1.25 may be behind by two only, which no version of a cluster
// that is supported here ever sees.
//
// Source: Kubernetes documentation, version skew policy.
const MaxKubeletSkew = 3

// Less tells whether a is an older version than b. What is not a version is older
// than all.
func Less(a, b string) bool {
	other, err := version.ParseSemantic(b)
	if err != nil {
		return false
	}
	one, err := version.ParseSemantic(a)
	return err != nil || one.LessThan(other)
}

// Oldest returns the oldest of versions, or "" if there are none.
func Oldest(versions ...string) string {
	var oldest string
	for _, v := range versions {
		if _, err := version.ParseSemantic(v); err == nil && (oldest == "" || Less(v, oldest)) {
			oldest = v
		}
	}
	return oldest
}

// MinorSteps returns by how many minor versions to is above from; it is negative
// where to is below. Another major version, or what is no version, is out of all
// reach.
func MinorSteps(from, to string) (steps int, ok bool) {
	was, err := version.ParseSemantic(from)
	if err != nil {
		return 0, false
	}
	is, err := version.ParseSemantic(to)
	if err != nil || was.Major() != is.Major() {
		return 0, false
	}
	return int(is.Minor()) - int(was.Minor()), true
}

// SameMinor tells whether a and b differ by their patch only, or not at all.
func SameMinor(a, b string) bool {
	steps, ok := MinorSteps(a, b)
	return ok && steps == 0
}

// KubeletFits tells whether a kubelet may talk to an API server: it must not be
// newer, and not too far behind.
func KubeletFits(kubelet, apiServer string) bool {
	behind, ok := MinorSteps(kubelet, apiServer)
	return ok && behind >= 0 && behind <= MaxKubeletSkew
}

// OldestKubelet returns the minor version, such as v1.33.x, that a kubelet must
// have at least for an API server.
func OldestKubelet(apiServer string) string {
	return relative(apiServer, -MaxKubeletSkew)
}

// NextMinor returns the minor version after v, such as v1.37.x.
func NextMinor(v string) string { return relative(v, 1) }

func relative(value string, steps int) string {
	v, err := version.ParseSemantic(value)
	if err != nil {
		return value
	}
	return fmt.Sprintf("v%d.%d.x", v.Major(), int(v.Minor())+steps)
}
