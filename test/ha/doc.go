// Package ha grows and shrinks a control plane on the real programs, and takes the
// power from its members' hosts: its API server answers as long as etcd has a
// majority, and only then. What lies on a host that is declared lost is replaced, and
// the host finds nothing of it when it comes back. Any one volume, and any one host, may go
// for good with nobody's word: there are three members again, and users are turned away no
// longer than the VIP takes to move. What a failover cluster starts elsewhere is followed, a
// power failure of everything replaces nobody, and nobody needs the management cluster to
// go on. VMs that lose their objects are swept, and nothing else is.
//
// It takes minutes and a machine of its own, so hack/ha.sh runs it and not
// hack/test.sh. What etcd's members do among each other belongs to the tests of
// internal/fabric/guest, where they are placed to those of internal/placement.
package ha
