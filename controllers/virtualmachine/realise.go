package virtualmachine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// observe asks how the VM is. Where nobody can tell, nothing is done.
func (r *Reconciler) observe(ctx context.Context, s *scope) (*wait, error) {
	if len(speakers(s.vm, s.hosts)) == 0 {
		if placed(s.was) {
			s.phase = s.was
		}
		if waiting := waitForSpeaker(s); waiting != nil {
			return waiting, nil
		}
		return &wait{
			reason: capstanv1.ReasonHostLost, requeue: pollRepair, unknown: true,
			message: fmt.Sprintf("host %s, which has the VM, is declared lost or its HyperVHost is gone", s.vm.Spec.Placement.Host),
		}, nil
	}
	key := client.ObjectKeyFromObject(s.vm)
	err := r.ask(ctx, s)
	if hostapi.Is(err, hostapi.NotFound) {
		err = nil
	}
	if err != nil {
		r.misses.stopAsking(key)
		if placed(s.was) {
			s.phase = s.was
		}
		return nil, err
	}
	if s.seen != nil && s.seen.Operation != nil && !running(s) {
		return r.atWork(s), nil
	}
	if stands(s.seen) {
		s.staged = true
		r.placer.standsSince(key, r.Clock.Now())
		r.misses.found(key)
		r.lookBack(ctx, s)
		return nil, nil
	}
	if isMissed(s.seen) && wasWhole(s) {
		if waiting, err := r.lookElsewhere(ctx, s); waiting != nil || err != nil {
			s.phase = s.was
			if !placed(s.was) {
				s.phase = capstanv1.VMStarting
			}
			return waiting, err
		}
	}
	if retired(s.vm) {
		// Its seed is gone, so it could not become again what it was.
		s.phase = s.was
		if !placed(s.was) {
			s.phase = capstanv1.VMStarting
		}
		return goneFor(s.vm, s.seen), nil
	}
	return nil, nil
}

// running tells whether the VM was up before its agent began to work on it, which
// changes nothing for the guest.
func running(s *scope) bool {
	return s.was == capstanv1.VMRunning && s.seen.State == hostapi.StateRunning
}

// goneFor tells of a VM that is not made again, and of which its host has nothing whole. One
// that lacks something is not gone: somebody may be at work on it, whose work would be lost
// with its disks if its machine were replaced for it.
func goneFor(vm *capstanv1.VirtualMachine, seen *hostapi.VM) *wait {
	if seen != nil && seen.Name != "" {
		return &wait{
			reason: capstanv1.ReasonVMFailed, requeue: pollRepair,
			message: fmt.Sprintf("VM %s is there, but lacks a disk, or a network adapter on its switch and VLAN, that it was made with, and is not started like that: put back what it lacks, or have its machine replaced", vm.Spec.ID),
		}
	}
	return &wait{
		reason: capstanv1.ReasonVMNotFound, requeue: pollRepair,
		message: fmt.Sprintf("VM %s does not exist any more as a whole, and is not made again: its machine must be replaced", vm.Spec.ID),
	}
}

// stands tells whether the VM is there with all its parts.
func stands(vm *hostapi.VM) bool { return vm != nil && vm.State != hostapi.StatePartial }

// retired tells whether the guest has outgrown its seed.
func retired(vm *capstanv1.VirtualMachine) bool {
	return vm.Spec.RetireSeed || conditions.IsTrue(vm, capstanv1.SeedRetiredCondition)
}

// atWork waits for the agent, which works on the VM.
func (r *Reconciler) atWork(s *scope) *wait {
	s.staged = true
	s.phase = capstanv1.VMCreating
	if stands(s.seen) && s.was != capstanv1.VMCreating && placed(s.was) {
		s.phase = capstanv1.VMStarting
	}
	return r.work(s, capstanv1.ReasonCreating, s.seen.Operation)
}

func (r *Reconciler) work(s *scope, reason string, o *hostapi.Operation) *wait {
	if o.Percent >= 0 {
		// Steps of five keep the writes few.
		s.progress = ptr.To(o.Percent / 5 * 5)
	}
	return &wait{reason: reason, message: fmt.Sprintf("host %s is at work: %s", s.at.Name, o.What), requeue: pollWork}
}

// stageImage brings the image to the volume of the boot disk.
func (r *Reconciler) stageImage(ctx context.Context, s *scope) (*wait, error) {
	if s.staged {
		return nil, nil
	}
	if s.image == nil {
		return waitForImage(s), nil
	}
	volume := volumeOf(s.vm, bootDisk)
	if onVolume(s.at, volume, s.image.Spec.SHA256) {
		s.staged = true
		return nil, nil
	}
	image, err := s.agent.StageImage(ctx, hostapi.StageImageRequest{
		Image: hostapi.ImageRef{Name: s.image.Name, SHA256: s.image.Spec.SHA256}, Volume: volume, Source: s.image.Spec.Source,
	})
	if err != nil {
		return nil, fmt.Errorf("staging image %s on volume %s: %w", s.image.Name, volume, err)
	}
	if image.Operation != nil {
		return r.work(s, capstanv1.ReasonStagingImage, image.Operation), nil
	}
	s.staged = true
	return nil, nil
}

func onVolume(host *capstanv1.HyperVHost, volume, sha256 string) bool {
	for _, v := range host.Status.Volumes {
		if v.Name == volume {
			return slices.Contains(v.Images, sha256)
		}
	}
	return false
}

func volumeOf(vm *capstanv1.VirtualMachine, disk string) string {
	for _, d := range vm.Spec.Placement.Disks {
		if d.Name == disk {
			return d.Volume
		}
	}
	return ""
}

// create makes the VM, or what is missing of it.
func (r *Reconciler) create(ctx context.Context, s *scope) (*wait, error) {
	if stands(s.seen) {
		return nil, nil
	}
	req, waiting, err := r.seededRequest(ctx, s)
	if waiting != nil || err != nil {
		return waiting, err
	}
	hash := hashOf(req.Seed)
	if s.seen != nil && s.seen.SeedAttached && s.vm.Status.SeedHash == hash {
		req.KeepSeed, req.Seed = true, nil
	}
	return r.ensure(ctx, s, req, hash)
}

// seededRequest is the whole wanted state, with the seed as it is now.
func (r *Reconciler) seededRequest(ctx context.Context, s *scope) (hostapi.EnsureVMRequest, *wait, error) {
	none := hostapi.EnsureVMRequest{}
	if s.image == nil {
		return none, waitForImage(s), nil
	}
	if len(s.addresses) < len(s.networks) {
		return none, &wait{reason: capstanv1.ReasonWaitingForAddress, message: "waiting for the addresses of the VM", requeue: pollWaiting}, nil
	}
	data, waiting, err := r.bootstrapData(ctx, s)
	if waiting != nil || err != nil {
		return none, waiting, err
	}
	seed, err := seedOf(s, data)
	if err != nil {
		return none, &wait{reason: capstanv1.ReasonInvalidSpec, message: err.Error(), requeue: pollPlacing}, nil //nolint:nilerr // the wait tells it.
	}
	req := r.ensureRequest(s)
	req.Seed = seed
	return req, nil, nil
}

func hashOf(seed []byte) string {
	sum := sha256.Sum256(seed)
	return hex.EncodeToString(sum[:])
}

func (r *Reconciler) ensure(ctx context.Context, s *scope, req hostapi.EnsureVMRequest, hash string) (*wait, error) {
	vm, err := s.agent.EnsureVM(ctx, req)
	if err != nil {
		return nil, err
	}
	ctrllog.FromContext(ctx).Info("VM created", "host", s.at.Name, "underWay", vm.Operation != nil)
	s.seedHash = hash
	s.seen = &vm
	if vm.Operation != nil {
		return r.work(s, capstanv1.ReasonCreating, vm.Operation), nil
	}
	r.placer.standsSince(client.ObjectKeyFromObject(s.vm), r.Clock.Now())
	return nil, nil
}

// ensureRequest is the whole wanted state but the seed.
func (r *Reconciler) ensureRequest(s *scope) hostapi.EnsureVMRequest {
	size := s.vm.Spec.Size
	req := hostapi.EnsureVMRequest{
		Stamp: r.stamp(s), Name: s.vm.Name, Owner: s.vm.Namespace + "/" + s.vm.Name, OS: hostapi.OS(s.vm.Spec.OS),
		Processors: size.CPUs, MemoryMiB: memoryMiB(size.Memory), Power: hostapi.PowerOn,
		Disks: []hostapi.Disk{{
			Name: bootDisk, Volume: volumeOf(s.vm, bootDisk), Bytes: bootBytes(s),
			Image: &hostapi.ImageRef{Name: s.image.Name, SHA256: s.image.Spec.SHA256},
		}},
	}
	for _, d := range size.DataDisks {
		req.Disks = append(req.Disks, hostapi.Disk{Name: d.Name, Volume: volumeOf(s.vm, d.Name), Bytes: d.Size.Value()})
	}
	for i, n := range s.networks {
		req.NICs = append(req.NICs, hostapi.NIC{
			Switch: n.Spec.Switch, VLAN: n.Spec.VLAN, MAC: hostapi.MACAddress(hostapi.VMID(s.vm.Spec.ID), i),
		})
	}
	return req
}
