package agent

import (
	"context"

	"google.golang.org/grpc"

	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/hostapi/hostpb"
)

// maxMessage bounds a request: a seed is the largest thing in one.
const maxMessage = 16 << 20

// service carries hostapi.Agent over gRPC, and decides nothing.
type service struct {
	hostpb.UnimplementedHostAgentServer
	agent hostapi.Agent
}

// Register serves an agent.
func Register(server grpc.ServiceRegistrar, agent hostapi.Agent) {
	hostpb.RegisterHostAgentServer(server, service{agent: agent})
}

func (s service) Hello(ctx context.Context, _ *hostpb.HelloRequest) (*hostpb.HelloResponse, error) {
	hello, err := s.agent.Hello(ctx)
	if err != nil {
		return nil, hostapi.ErrorToStatus("Hello", err)
	}
	return hostapi.HelloToProto(hello), nil
}

func (s service) Inventory(ctx context.Context, _ *hostpb.InventoryRequest) (*hostpb.InventoryResponse, error) {
	inventory, err := s.agent.Inventory(ctx)
	if err != nil {
		return nil, hostapi.ErrorToStatus("Inventory", err)
	}
	return hostapi.InventoryToProto(inventory), nil
}

func (s service) StageImage(ctx context.Context, req *hostpb.StageImageRequest) (*hostpb.StageImageResponse, error) {
	image, err := s.agent.StageImage(ctx, hostapi.StageImageRequestFromProto(req))
	if err != nil {
		return nil, hostapi.ErrorToStatus("StageImage", err)
	}
	return &hostpb.StageImageResponse{Image: hostapi.ImageToProto(image)}, nil
}

func (s service) EnsureVM(ctx context.Context, req *hostpb.EnsureVMRequest) (*hostpb.EnsureVMResponse, error) {
	vm, err := s.agent.EnsureVM(ctx, hostapi.EnsureVMRequestFromProto(req))
	if err != nil {
		return nil, hostapi.ErrorToStatus("EnsureVM", err)
	}
	return &hostpb.EnsureVMResponse{Vm: hostapi.VMToProto(vm)}, nil
}

func (s service) GetVM(ctx context.Context, req *hostpb.GetVMRequest) (*hostpb.GetVMResponse, error) {
	vm, err := s.agent.GetVM(ctx, hostapi.VMID(req.GetId()))
	if err != nil {
		return nil, hostapi.ErrorToStatus("GetVM", err)
	}
	return &hostpb.GetVMResponse{Vm: hostapi.VMToProto(vm)}, nil
}

func (s service) ListVMs(ctx context.Context, _ *hostpb.ListVMsRequest) (*hostpb.ListVMsResponse, error) {
	vms, err := s.agent.ListVMs(ctx)
	if err != nil {
		return nil, hostapi.ErrorToStatus("ListVMs", err)
	}
	resp := &hostpb.ListVMsResponse{}
	for _, vm := range vms {
		resp.Vms = append(resp.Vms, hostapi.VMToProto(vm))
	}
	return resp, nil
}

func (s service) SetPower(ctx context.Context, req *hostpb.SetPowerRequest) (*hostpb.SetPowerResponse, error) {
	vm, err := s.agent.SetPower(ctx, hostapi.SetPowerRequestFromProto(req))
	if err != nil {
		return nil, hostapi.ErrorToStatus("SetPower", err)
	}
	return &hostpb.SetPowerResponse{Vm: hostapi.VMToProto(vm)}, nil
}

func (s service) DeleteVM(ctx context.Context, req *hostpb.DeleteVMRequest) (*hostpb.DeleteVMResponse, error) {
	if err := s.agent.DeleteVM(ctx, hostapi.DeleteVMRequestFromProto(req)); err != nil {
		return nil, hostapi.ErrorToStatus("DeleteVM", err)
	}
	return &hostpb.DeleteVMResponse{}, nil
}

func (s service) GetOperation(ctx context.Context, req *hostpb.GetOperationRequest) (*hostpb.GetOperationResponse, error) {
	operation, err := s.agent.GetOperation(ctx, req.GetRef())
	if err != nil {
		return nil, hostapi.ErrorToStatus("GetOperation", err)
	}
	return &hostpb.GetOperationResponse{Operation: hostapi.OperationToProto(&operation)}, nil
}

func (s service) Bury(ctx context.Context, req *hostpb.BuryRequest) (*hostpb.BuryResponse, error) {
	var tombstones []hostapi.Tombstone
	for _, t := range req.GetTombstones() {
		tombstones = append(tombstones, hostapi.TombstoneFromProto(t))
	}
	gone, err := s.agent.Bury(ctx, tombstones)
	if err != nil {
		return nil, hostapi.ErrorToStatus("Bury", err)
	}
	resp := &hostpb.BuryResponse{}
	for _, id := range gone {
		resp.Gone = append(resp.Gone, string(id))
	}
	return resp, nil
}
