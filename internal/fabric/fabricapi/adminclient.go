package fabricapi

import (
	"context"
	"net/http"
)

// Site is what shares volumes and VMs: a failover cluster, or a stand-alone
// host. Volume names are unique in one.
type Site struct {
	Name    string   `json:"name"`
	Cluster bool     `json:"cluster"`
	Volumes []Volume `json:"volumes"`
	VMs     []VM     `json:"vms"`
	Files   []File   `json:"files"`
	Roles   []Role   `json:"roles"`
}

// AdminHost is a host as the auditor sees it.
type AdminHost struct {
	Host
	Site     string `json:"site"`
	Up       bool   `json:"up"`
	Frozen   bool   `json:"frozen"`
	Isolated bool   `json:"isolated"`
}

// World is all there is, faulted or not. Auditors read it.
type World struct {
	Hosts  []AdminHost      `json:"hosts"`
	Sites  []Site           `json:"sites"`
	Images []PublishedImage `json:"images"`
	// Complaints are calls of a driver that no host could carry out. Only hosts with a fake
	// Hyper-V tell of them.
	Complaints []string `json:"complaints,omitempty"`
}

// HostRef names a host.
type HostRef struct {
	Host string `json:"host"`
}

// SetHostRequest sets a lever of a host.
type SetHostRequest struct {
	Host string `json:"host"`
	On   bool   `json:"on"`
}

// SetVolumeFaultRequest faults a volume or, with Healthy, clears the fault.
type SetVolumeFaultRequest struct {
	Site   string     `json:"site"`
	Volume string     `json:"volume"`
	Fault  FaultState `json:"fault"`
}

// FillVolumeRequest takes all room on a volume but FreeBytes, with data of
// somebody else. A negative value takes that data away again.
type FillVolumeRequest struct {
	Site      string `json:"site"`
	Volume    string `json:"volume"`
	FreeBytes int64  `json:"freeBytes"`
}

// MoveVMRequest moves a VM to another node of its failover cluster.
type MoveVMRequest struct {
	GUID string `json:"guid"`
	Host string `json:"host"`
}

// SetGuestRequest makes a guest deaf: it neither heeds a shutdown nor sends a
// heartbeat.
type SetGuestRequest struct {
	GUID string `json:"guid"`
	Deaf bool   `json:"deaf"`
}

// AddFileRequest puts a file there by hand, as an administrator would.
type AddFileRequest struct {
	Site string `json:"site"`
	File File   `json:"file"`
}

// RemoveFileRequest removes a file by hand.
type RemoveFileRequest struct {
	Site string `json:"site"`
	FileRef
}

// AddVMRequest makes a VM by hand, as an administrator would.
type AddVMRequest struct {
	Host string `json:"host"`
	DefineVMRequest
}

// ImageSource names a published image.
type ImageSource struct {
	Source string `json:"source"`
}

// AdminClient speaks with the admin socket: an auditor's view of everything,
// and the levers that break things.
type AdminClient struct{ caller }

// NewAdminClient returns a client over a transport, as of UnixTransport.
func NewAdminClient(transport http.RoundTripper) *AdminClient {
	return &AdminClient{caller{http.Client{Transport: transport}}}
}

// World returns all there is.
func (c *AdminClient) World(ctx context.Context) (World, error) {
	return invoke[World](ctx, &c.caller, "World", None{})
}

// Publish puts an image at its source, in place of what was there.
func (c *AdminClient) Publish(ctx context.Context, image PublishedImage) error {
	return c.call(ctx, "Publish", image, &None{})
}

// Withdraw takes an image away from its source. Copies of it stay.
func (c *AdminClient) Withdraw(ctx context.Context, source string) error {
	return c.call(ctx, "Withdraw", ImageSource{source}, &None{})
}

// HostDown takes a host's power away.
func (c *AdminClient) HostDown(ctx context.Context, host string) error {
	return c.call(ctx, "HostDown", HostRef{host}, &None{})
}

// HostUp boots a host.
func (c *AdminClient) HostUp(ctx context.Context, host string) error {
	return c.call(ctx, "HostUp", HostRef{host}, &None{})
}

// RebootHost power-cycles a host.
func (c *AdminClient) RebootHost(ctx context.Context, host string) error {
	return c.call(ctx, "RebootHost", HostRef{host}, &None{})
}

// FreezeHost stops a host from answering its agent; its VMs run on.
func (c *AdminClient) FreezeHost(ctx context.Context, host string, frozen bool) error {
	return c.call(ctx, "FreezeHost", SetHostRequest{host, frozen}, &None{})
}

// IsolateHost cuts a host off its failover cluster; its VMs run on.
func (c *AdminClient) IsolateHost(ctx context.Context, host string, isolated bool) error {
	return c.call(ctx, "IsolateHost", SetHostRequest{host, isolated}, &None{})
}

// UnplugHost cuts the VMs of a host off their networks; they run on.
func (c *AdminClient) UnplugHost(ctx context.Context, host string, unplugged bool) error {
	return c.call(ctx, "UnplugHost", SetHostRequest{host, unplugged}, &None{})
}

// SetVolumeFault faults a volume or clears its fault.
func (c *AdminClient) SetVolumeFault(ctx context.Context, req SetVolumeFaultRequest) error {
	return c.call(ctx, "SetVolumeFault", req, &None{})
}

// FillVolume fills a volume with somebody else's data.
func (c *AdminClient) FillVolume(ctx context.Context, req FillVolumeRequest) error {
	return c.call(ctx, "FillVolume", req, &None{})
}

// RemoveVM removes a VM by hand, running or not. Its files and role stay.
func (c *AdminClient) RemoveVM(ctx context.Context, guid string) error {
	return c.call(ctx, "RemoveVM", VMRef{guid}, &None{})
}

// PowerOffVM switches a VM off by hand.
func (c *AdminClient) PowerOffVM(ctx context.Context, guid string) error {
	return c.call(ctx, "PowerOffVM", VMRef{guid}, &None{})
}

// MoveVM moves a VM to another node of its failover cluster.
func (c *AdminClient) MoveVM(ctx context.Context, guid, host string) error {
	return c.call(ctx, "MoveVM", MoveVMRequest{guid, host}, &None{})
}

// SetGuest makes a guest deaf, or hear again.
func (c *AdminClient) SetGuest(ctx context.Context, guid string, deaf bool) error {
	return c.call(ctx, "SetGuest", SetGuestRequest{guid, deaf}, &None{})
}

// AddFile puts a file there by hand.
func (c *AdminClient) AddFile(ctx context.Context, req AddFileRequest) error {
	return c.call(ctx, "AddFile", req, &None{})
}

// RemoveFile removes a file by hand, also one that a VM which is off, or a
// child, depends on.
func (c *AdminClient) RemoveFile(ctx context.Context, req RemoveFileRequest) error {
	return c.call(ctx, "RemoveFile", req, &None{})
}

// AddVM makes a VM by hand.
func (c *AdminClient) AddVM(ctx context.Context, req AddVMRequest) (VM, error) {
	return invoke[VM](ctx, &c.caller, "AddVM", req)
}
