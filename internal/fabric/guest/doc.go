// Package guest is what runs inside the virtual machines of the simulated fabric:
// stand-ins for a Linux machine with cloud-init, kubeadm, kubelet, etcd and an API
// server, for a Windows machine with cloudbase-init, kubeadm and kubelet, and for a
// load-balancer VM. Which of them boots is a matter of the image.
//
// A guest reads only its seed, as a real one does, and is as strict: what a real
// guest would reject makes it fail with a line on its console. Everything between
// machines goes over real TCP connections from and to their own addresses, which
// come out of 127.0.0.0/8: a worker joins through the endpoint in its seed, with
// its token; Cluster API reaches each etcd member by port-forward; a machine that
// is off refuses connections, and an API server without an etcd majority answers
// 503. What a guest must remember is on its disk, which the caller provides: it
// comes up again without its seed, and a cluster's objects survive on the disks of
// its etcd members, and die with them.
//
// Simulated, that is not real: the API server (see kubeapi), etcd's replication
// (the members of a cluster share one store in memory, written to every member's
// disk), kubelet's pods (only the static ones appear, and nothing runs in them),
// and all controllers but the few that node health and joining need. Each boot
// issues the serving certificates anew. A first boot that is cut short is resumed
// by the next, where cloud-init would have left a broken machine. The restart in
// which Windows takes its name is left out.
//
// Nothing of the manager, its API types or its controllers may enter.
package guest
