package hostclient

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostapi/hostpb"
)

// Hello implements hostapi.Agent. An agent that speaks no common protocol
// version is as good as unreachable.
func (c *Client) Hello(ctx context.Context) (hostapi.Hello, error) {
	resp, err := c.rpc.Hello(ctx, &hostpb.HelloRequest{})
	if err != nil {
		return hostapi.Hello{}, err
	}
	hello := hostapi.HelloFromProto(resp)
	if _, ok := hostapi.CommonProtocol(hello.Protocols); !ok {
		return hostapi.Hello{}, hostapi.Errorf(hostapi.HostUnreachable, "Hello", "", "%w: agent %s %s speaks protocol versions %v, this manager %v",
			hostapi.ErrNoCommonProtocol, c.target.Name, hello.Version, hello.Protocols, hostapi.Protocols())
	}
	return hello, nil
}

// Inventory implements hostapi.Driver.
func (c *Client) Inventory(ctx context.Context) (hostapi.Inventory, error) {
	resp, err := c.rpc.Inventory(ctx, &hostpb.InventoryRequest{})
	if err != nil {
		return hostapi.Inventory{}, err
	}
	return hostapi.InventoryFromProto(resp), nil
}

// StageImage implements hostapi.Agent.
func (c *Client) StageImage(ctx context.Context, req hostapi.StageImageRequest) (hostapi.Image, error) {
	resp, err := c.rpc.StageImage(ctx, hostapi.StageImageRequestToProto(req))
	if err != nil {
		return hostapi.Image{}, err
	}
	return hostapi.ImageFromProto(resp.GetImage()), nil
}

// EnsureVM implements hostapi.Agent.
func (c *Client) EnsureVM(ctx context.Context, req hostapi.EnsureVMRequest) (hostapi.VM, error) {
	resp, err := c.rpc.EnsureVM(ctx, hostapi.EnsureVMRequestToProto(req))
	if err != nil {
		return hostapi.VM{}, err
	}
	return hostapi.VMFromProto(resp.GetVm()), nil
}

// GetVM implements hostapi.Driver.
func (c *Client) GetVM(ctx context.Context, id hostapi.VMID) (hostapi.VM, error) {
	resp, err := c.rpc.GetVM(ctx, &hostpb.GetVMRequest{Id: string(id)})
	if err != nil {
		return hostapi.VM{}, err
	}
	return hostapi.VMFromProto(resp.GetVm()), nil
}

// ListVMs implements hostapi.Driver.
func (c *Client) ListVMs(ctx context.Context) ([]hostapi.VM, error) {
	resp, err := c.rpc.ListVMs(ctx, &hostpb.ListVMsRequest{})
	if err != nil {
		return nil, err
	}
	vms := make([]hostapi.VM, 0, len(resp.GetVms()))
	for _, vm := range resp.GetVms() {
		vms = append(vms, hostapi.VMFromProto(vm))
	}
	return vms, nil
}

// SetPower implements hostapi.Agent.
func (c *Client) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	resp, err := c.rpc.SetPower(ctx, hostapi.SetPowerRequestToProto(req))
	if err != nil {
		return hostapi.VM{}, err
	}
	return hostapi.VMFromProto(resp.GetVm()), nil
}

// DeleteVM implements hostapi.Agent.
func (c *Client) DeleteVM(ctx context.Context, req hostapi.DeleteVMRequest) error {
	_, err := c.rpc.DeleteVM(ctx, hostapi.DeleteVMRequestToProto(req))
	return err
}

// GetOperation implements hostapi.Agent.
func (c *Client) GetOperation(ctx context.Context, ref string) (hostapi.Operation, error) {
	resp, err := c.rpc.GetOperation(ctx, &hostpb.GetOperationRequest{Ref: ref})
	if err != nil {
		return hostapi.Operation{}, err
	}
	if resp.GetOperation() == nil {
		return hostapi.Operation{}, hostapi.Errorf(hostapi.Transient, "GetOperation", "", "agent %s gave an empty answer", c.target.Name)
	}
	return *hostapi.OperationFromProto(resp.GetOperation()), nil
}

// Bury implements hostapi.Agent.
func (c *Client) Bury(ctx context.Context, tombstones []hostapi.Tombstone) ([]hostapi.VMID, error) {
	req := &hostpb.BuryRequest{}
	for _, t := range tombstones {
		req.Tombstones = append(req.Tombstones, hostapi.TombstoneToProto(t))
	}
	resp, err := c.rpc.Bury(ctx, req)
	if err != nil {
		return nil, err
	}
	var gone []hostapi.VMID
	for _, id := range resp.GetGone() {
		gone = append(gone, hostapi.VMID(id))
	}
	return gone, nil
}
