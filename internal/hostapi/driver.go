package hostapi

import "context"

// Driver is what Capstan needs of one host. A driver only calls its host: it
// keeps no journal and takes no locks, the agent does both around it.
//
// Every method is idempotent and may be cut off at any line: the same call made
// again goes on from whatever is there. Methods that create or change things
// verify the stamp of what they find and return a NotOwned error rather than
// touch what is not theirs. All errors are of type *Error (see ClassOf).
//
// Of a guest's console a driver gives what it has without waiting for the guest,
// the last 16 KiB or so, and nothing where its host has none: VM.Console explains
// faults and decides nothing. A Hyper-V host has the console of a VM whose COM port
// is a named pipe, as long as somebody reads that pipe; Linux writes to it with
// console=ttyS0, and cloudbase-init with logging_serial_port_settings. KVP items
// could carry VM.Init, but no service that images have today writes such an item.
//
// On a failover cluster every answer is for the whole cluster: NotFound means
// that no node has it, and if the cluster could not be asked the error is
// HostUnreachable.
type Driver interface {
	// Inventory returns what the host has and how it is.
	Inventory(ctx context.Context) (Inventory, error)

	// StageImage brings an image onto a volume, verified by checksum and
	// read-only, and returns once it is there. It is long: the agent runs it as
	// an Operation. A partial copy is resumed or replaced, never used.
	StageImage(ctx context.Context, req StageImageRequest) (Image, error)

	// EnsureVM makes the VM with the stamp of req exist as req says: disks, NICs,
	// seed and power. It creates what is missing, changes what may be changed
	// (processors, memory and disk growth, the last two only as far as the host
	// allows it in the present power state), attaches or destroys the seed, and
	// reaches the wanted power state.
	EnsureVM(ctx context.Context, req EnsureVMRequest) (VM, error)

	// GetVM returns one VM as it is, or a NotFound error.
	GetVM(ctx context.Context, id VMID) (VM, error)

	// ListVMs returns every VM that bears a Capstan stamp, whichever
	// installation it belongs to, and every stamped disk without a VM (State
	// Partial). What bears no stamp is never listed.
	ListVMs(ctx context.Context) ([]VM, error)

	// SetPower starts or stops the VM. A graceful stop asks the guest and gives it
	// req.Timeout, then returns Transient: forcing is the caller's decision.
	SetPower(ctx context.Context, req SetPowerRequest) (VM, error)

	// DeleteVM stops the VM by force and removes it with its disks and seed. A nil
	// error means that removal was triggered; only NotFound, from here or from
	// GetVM, means that nothing is left.
	DeleteVM(ctx context.Context, req DeleteVMRequest) error
}

// Agent is what the manager needs of a host agent: the driver of its host, and
// what the agent adds to it. internal/hostclient implements it over gRPC.
//
// Long work does not block: StageImage, EnsureVM and SetPower return within
// about a second, with Operation set while the work is under way. Calling again
// with the same request joins it, and is told its outcome once; GetOperation
// tells it too. A different request waits until the work under way has ended and
// supersedes what else was waiting. DeleteVM returns nil once the work is under
// way, and its failure to the next call.
type Agent interface {
	Driver

	// Hello returns the agent's version and protocol versions. It is the first
	// call on a connection.
	Hello(ctx context.Context) (Hello, error)

	// GetOperation returns an operation by its reference, or a NotFound error.
	// An operation is kept for an hour after its end, unless many others of the
	// same VM or image have ended since.
	GetOperation(ctx context.Context, ref string) (Operation, error)

	// Bury hands the agent the tombstones of this installation, all of them
	// each time. The agent starts no VM after a boot of its host until it has
	// been called: until then EnsureVM and SetPower with PowerOn are Transient,
	// and Hello says AwaitingBury. It deletes what is buried, refuses to make or
	// start it (Conflict), and returns the IDs of which nothing is left on this
	// host.
	Bury(ctx context.Context, tombstones []Tombstone) (gone []VMID, err error)
}
