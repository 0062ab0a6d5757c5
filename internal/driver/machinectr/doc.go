// Package machinectr is the driver of a host whose VMs are machine containers
// of systemd-nspawn on this Linux machine. Guests boot the node image with its
// own systemd and read the very seed that a VM reads, at native speed, so that
// real kubelets can be had where no hypervisor is. It is for development and
// continuous integration: guests share the machine's kernel and are trusted.
//
// It has no memory: what it needs to know it reads from its folders, from the
// control groups and from the kernel. Guests are no children of the agent and
// outlive it. Whatever could outlive a guest (mounts, loop devices, network
// interfaces) is made inside of namespaces that end with the guest's last
// process, by launch.sh.
//
// Nothing that knows Kubernetes may enter, and nothing that touches what bears
// no mark of this package: its folders, its control groups, its bridges.
package machinectr
