package wmicom

import "strings"

// namespaceOf is the namespace in a path: \\HOST\root\virtualization\v2:Class.Key="..." .
func namespaceOf(path string) string {
	namespace, _, _ := strings.Cut(path, ":")
	if rest, remote := strings.CutPrefix(namespace, `\\`); remote {
		_, namespace, _ = strings.Cut(rest, `\`)
	}
	return namespace
}

// relative is a path without the namespace, which the connection has. With the host's name in it the object would be
// asked for over the network.
func relative(path string) string {
	if _, rest, ok := strings.Cut(path, ":"); ok {
		return rest
	}
	return path
}

// address is a host as connections are made to it: name and domain. Nodes of a failover cluster are all in one domain,
// so a name without one is of the own host's. What Windows tells as the domain of a host that is in none is its
// workgroup, which is no part of any name.
func address(host, ownDomain string, inDomain bool) (name, domain string) {
	if name, domain, ok := strings.Cut(host, "."); ok {
		return name, domain
	}
	if !inDomain {
		return host, ""
	}
	return host, ownDomain
}
