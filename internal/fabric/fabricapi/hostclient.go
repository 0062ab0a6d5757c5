package fabricapi

import (
	"context"
	"net/http"
)

// HostClient speaks with one host of the fabric. On a member of a failover
// cluster it sees and reaches the VMs, volumes and roles of the whole cluster.
type HostClient struct{ caller }

// NewHostClient returns a client over a transport, as of UnixTransport.
func NewHostClient(transport http.RoundTripper) *HostClient {
	return &HostClient{caller{http.Client{Transport: transport}}}
}

// Host describes the host.
func (c *HostClient) Host(ctx context.Context) (Host, error) {
	return invoke[Host](ctx, &c.caller, "Host", None{})
}

// ListVMs returns the VMs whose stamp has the ID, or all for an empty one.
func (c *HostClient) ListVMs(ctx context.Context, stampID string) ([]VM, error) {
	return invoke[[]VM](ctx, &c.caller, "ListVMs", StampRef{ID: stampID})
}

// GetVM returns a VM.
func (c *HostClient) GetVM(ctx context.Context, guid string) (VM, error) {
	return invoke[VM](ctx, &c.caller, "GetVM", VMRef{GUID: guid})
}

// DefineVM makes a VM without devices.
func (c *HostClient) DefineVM(ctx context.Context, req DefineVMRequest) (VM, error) {
	return invoke[VM](ctx, &c.caller, "DefineVM", req)
}

// ModifyVM changes a VM's settings.
func (c *HostClient) ModifyVM(ctx context.Context, req ModifyVMRequest) (VM, error) {
	return invoke[VM](ctx, &c.caller, "ModifyVM", req)
}

// DestroyVM removes the configuration of a VM that is off. Its files stay.
func (c *HostClient) DestroyVM(ctx context.Context, guid string) error {
	return c.call(ctx, "DestroyVM", VMRef{GUID: guid}, &None{})
}

// AttachDisk attaches a disk to a VM, after those it has.
func (c *HostClient) AttachDisk(ctx context.Context, guid string, file FileRef) (VM, error) {
	return invoke[VM](ctx, &c.caller, "AttachDisk", VMFileRef{GUID: guid, FileRef: file})
}

// AddNIC adds a network adapter to a VM.
func (c *HostClient) AddNIC(ctx context.Context, guid string, nic NIC) (VM, error) {
	return invoke[VM](ctx, &c.caller, "AddNIC", AddNICRequest{GUID: guid, NIC: nic})
}

// AttachISO puts an ISO into a VM's empty DVD drive.
func (c *HostClient) AttachISO(ctx context.Context, guid string, file FileRef) (VM, error) {
	return invoke[VM](ctx, &c.caller, "AttachISO", VMFileRef{GUID: guid, FileRef: file})
}

// EjectISO empties a VM's DVD drive.
func (c *HostClient) EjectISO(ctx context.Context, guid string) (VM, error) {
	return invoke[VM](ctx, &c.caller, "EjectISO", VMRef{GUID: guid})
}

// StartVM switches a VM on.
func (c *HostClient) StartVM(ctx context.Context, guid string) (VM, error) {
	return invoke[VM](ctx, &c.caller, "StartVM", VMRef{GUID: guid})
}

// ShutDownVM asks the guest to shut down.
func (c *HostClient) ShutDownVM(ctx context.Context, guid string) (VM, error) {
	return invoke[VM](ctx, &c.caller, "ShutDownVM", VMRef{GUID: guid})
}

// TurnOffVM switches a VM off without asking the guest.
func (c *HostClient) TurnOffVM(ctx context.Context, guid string) (VM, error) {
	return invoke[VM](ctx, &c.caller, "TurnOffVM", VMRef{GUID: guid})
}

// WaitVM waits until a VM is in a state, and refuses as TimedOut after a while.
func (c *HostClient) WaitVM(ctx context.Context, req WaitVMRequest) (VM, error) {
	return invoke[VM](ctx, &c.caller, "WaitVM", req)
}

// ListFiles returns the selected files.
func (c *HostClient) ListFiles(ctx context.Context, req ListFilesRequest) ([]File, error) {
	return invoke[[]File](ctx, &c.caller, "ListFiles", req)
}

// GetFile returns a file.
func (c *HostClient) GetFile(ctx context.Context, file FileRef) (File, error) {
	return invoke[File](ctx, &c.caller, "GetFile", file)
}

// CreateDisk makes a disk. It never overwrites.
func (c *HostClient) CreateDisk(ctx context.Context, req CreateDiskRequest) (File, error) {
	return invoke[File](ctx, &c.caller, "CreateDisk", req)
}

// ResizeDisk makes a disk larger, also while its VM runs.
func (c *HostClient) ResizeDisk(ctx context.Context, req ResizeDiskRequest) (File, error) {
	return invoke[File](ctx, &c.caller, "ResizeDisk", req)
}

// WriteISO makes an ISO file. It never overwrites.
func (c *HostClient) WriteISO(ctx context.Context, req WriteISORequest) (File, error) {
	return invoke[File](ctx, &c.caller, "WriteISO", req)
}

// DeleteFile removes a file that nothing holds.
func (c *HostClient) DeleteFile(ctx context.Context, file FileRef) error {
	return c.call(ctx, "DeleteFile", file, &None{})
}

// MoveFile renames a file on its volume.
func (c *HostClient) MoveFile(ctx context.Context, req MoveFileRequest) (File, error) {
	return invoke[File](ctx, &c.caller, "MoveFile", req)
}

// CopyImage copies a piece of a published image.
func (c *HostClient) CopyImage(ctx context.Context, req CopyImageRequest) (File, error) {
	return invoke[File](ctx, &c.caller, "CopyImage", req)
}

// Checksum reads a file and returns the checksum of its content.
func (c *HostClient) Checksum(ctx context.Context, file FileRef) (string, error) {
	resp, err := invoke[ChecksumResponse](ctx, &c.caller, "Checksum", file)
	return resp.SHA256, err
}

// ListRoles returns the roles of a name, or all for an empty one.
func (c *HostClient) ListRoles(ctx context.Context, name string) ([]Role, error) {
	return invoke[[]Role](ctx, &c.caller, "ListRoles", RoleRef{Name: name})
}

// ClaimRole claims a name in the whole failover cluster.
func (c *HostClient) ClaimRole(ctx context.Context, req ClaimRoleRequest) (Role, error) {
	return invoke[Role](ctx, &c.caller, "ClaimRole", req)
}

// ReleaseRole removes a role that has no VM in it.
func (c *HostClient) ReleaseRole(ctx context.Context, name string) error {
	return c.call(ctx, "ReleaseRole", RoleRef{Name: name}, &None{})
}
