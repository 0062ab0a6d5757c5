package capi

import (
	"regexp"
	"strings"

	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
)

// ownDomain is the domain of Cluster API's own labels and annotations.
const ownDomain = "cluster.x-k8s.io"

// nodeMetadata matches the labels or annotations of Machines that are kept equal on
// their Nodes: all but those by which Cluster API finds what is its own. Upstream's
// default is none but a few domains, so that a change of a label would have to
// replace the node.
func nodeMetadata() []*regexp.Regexp {
	return append(outside(ownDomain), regexp.MustCompile("^"+otherThan(clusterv1.MachineDeploymentUniqueLabel, "/")+"$"))
}

// outside matches the qualified names whose prefix is neither domain nor within it.
// Go's expressions know no "but", so they say where the first difference is, from
// the domain's end.
func outside(domain string) []*regexp.Regexp {
	var expressions []*regexp.Regexp
	end := "/"
	labels := strings.Split(domain, ".")
	for i := len(labels) - 1; i >= 0; i-- {
		expressions = append(expressions, regexp.MustCompile(`^(?:[^/]*\.)?`+otherThan(labels[i], "./")+end))
		end = regexp.QuoteMeta(labels[i]) + end
		if i > 0 {
			expressions = append(expressions, regexp.MustCompile("^"+end))
			end = `\.` + end
		}
	}
	return expressions
}

// otherThan matches every part of a name but word. A part ends where one of the
// ends stands.
func otherThan(word, ends string) string {
	var others []string
	for i := range len(word) {
		same := regexp.QuoteMeta(word[:i])
		others = append(others, same+"[^"+ends+word[i:i+1]+"][^"+ends+"]*")
		if i > 0 {
			others = append(others, same)
		}
	}
	others = append(others, regexp.QuoteMeta(word)+"[^"+ends+"]+")
	return "(?:" + strings.Join(others, "|") + ")"
}
