// Package virtualmachine makes each VirtualMachine real: it gives it an identity,
// addresses and a place, has its image staged and the VM made on its host,
// follows it while it runs, and takes it away again, whoever owns it.
//
// It is the only room that asks a host to make or remove a VM. Where a VM goes is
// decided in internal/placement, what its seed holds in internal/bootstrap; here
// decisions become one request to a host. docs/virtualmachine-states.md draws the
// phases, docs/errors.md lists what becomes of a host's errors.
package virtualmachine
