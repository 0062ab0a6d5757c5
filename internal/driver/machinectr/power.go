package machinectr

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// shutDownTime is what a guest gets to stop when an EnsureVM wants its VM off.
const shutDownTime = 2 * time.Minute

// askAgain is how long a guest gets to heed a request to power off.
const askAgain = 2 * time.Second

// SetPower implements hostapi.Driver.
func (d *Driver) SetPower(ctx context.Context, req hostapi.SetPowerRequest) (hostapi.VM, error) {
	const op = "SetPower"
	if err := req.Validate(); err != nil {
		return hostapi.VM{}, err
	}
	p, err := d.parts(ctx, op, req.Stamp.ID)
	if err != nil {
		return hostapi.VM{}, err
	}
	if p.none() {
		return hostapi.VM{}, hostapi.NoVM(op, req.Stamp.ID)
	}
	if err := p.checkOwned(op, req.Stamp); err != nil {
		return hostapi.VM{}, err
	}
	switch {
	case p.config == nil:
		err = hostapi.Errorf(hostapi.Conflict, op, "", "VM %s is not whole", p.id)
	case req.Power == hostapi.PowerOn:
		err = d.powerOn(ctx, op, p)
	case req.Force:
		err = d.turnOff(ctx, op, p)
	default:
		err = d.shutDown(ctx, op, p, req.Timeout)
	}
	if err != nil {
		return hostapi.VM{}, err
	}
	return d.get(ctx, op, req.Stamp.ID)
}

func (d *Driver) powerOn(ctx context.Context, op string, p *parts) error {
	if p.guest.on {
		return nil
	}
	if err := d.checkDisks(op, p); err != nil {
		return err
	}
	if err := d.checkMemory(op, p.id, p.config.MemoryMiB); err != nil {
		return err
	}
	step := func(doing string, effect func() error) error {
		return typed(op, "", fmt.Sprintf("%s VM %s", doing, p.id), d.change(ctx, effect))
	}
	for _, nic := range p.config.NICs {
		s, err := d.findSwitch(op, nic.Switch)
		if err != nil {
			return err
		}
		if err := d.ensureBridge(ctx, s, nic.VLAN); err != nil {
			return typed(op, "", "start VM "+string(p.id), err)
		}
	}
	lock, err := lockDisk(ctx, p.id, p.disk(p.config.Disks[0].Name, p.config.Disks[0].Volume))
	if err != nil {
		return typed(op, "", "start VM "+string(p.id), err)
	}
	// The guest has it, too, once it has begun.
	defer lock.Close()
	if err := step("make the control groups of", func() error {
		return d.groups.create(p.id, p.config.Processors, p.config.MemoryMiB)
	}); err != nil {
		return err
	}
	if err := step("make the folder of", func() error { return d.makeRunFolder(p) }); err != nil {
		return err
	}
	return step("start", func() error { return d.launch(ctx, p, lock) })
}

// checkDisks refuses to start a VM that lacks a disk.
func (d *Driver) checkDisks(op string, p *parts) error {
	if lost := p.lost(); lost != nil {
		return hostapi.Errorf(hostapi.VolumeFaulted, op, lost.Volume, "VM %s: disk %s cannot be read", p.id, lost.Name)
	}
	return nil
}

func (d *Driver) checkMemory(op string, id hostapi.VMID, memoryMiB int64) error {
	used, _, err := d.used(id)
	if err != nil {
		return typed(op, "", "add up what VMs take", err)
	}
	if used+memoryMiB > d.MemoryMiB {
		return hostapi.Errorf(hostapi.OutOfCapacity, op, hostapi.ResourceMemory,
			"VM %s: it needs %d MiB of memory, and of %d MiB other VMs have %d", id, memoryMiB, d.MemoryMiB, used)
	}
	return nil
}

// turnOff takes the power from the guest.
func (d *Driver) turnOff(ctx context.Context, op string, p *parts) error {
	if !p.guest.on {
		return nil
	}
	err := d.change(ctx, func() error {
		if err := d.groups.kill(ctx, p.id); err != nil {
			return err
		}
		return errors.Join(d.removeNICs(ctx, p.id), d.awaitRelease(ctx, p))
	})
	return typed(op, "", "turn off VM "+string(p.id), err)
}

// awaitRelease returns once the kernel has let go of the VM's disks.
func (d *Driver) awaitRelease(ctx context.Context, p *parts) error {
	var folders []string
	for _, f := range p.disks {
		folders = append(folders, f.folder)
	}
	return until(ctx, func() (bool, error) {
		busy, err := attached(folders)
		return !busy, err
	})
}

// ask asks a guest to power off.
func ask(g guest) error {
	if err := syscall.Kill(g.init, shutDownSignal); err != nil && !gone(err) {
		return err
	}
	return nil
}

// shutDown asks the guest to stop and waits for it.
func (d *Driver) shutDown(ctx context.Context, op string, p *parts, timeout time.Duration) error {
	if !p.guest.on {
		return nil
	}
	if !p.guest.listens {
		return hostapi.Errorf(hostapi.Transient, op, "", "the guest of VM %s does not listen yet", p.id)
	}
	err := d.change(ctx, func() error { return ask(p.guest) })
	if err != nil {
		return typed(op, "", "shut down VM "+string(p.id), err)
	}
	waiting, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	asked := time.Now()
	err = until(waiting, func() (bool, error) {
		now, err := d.look(p.id)
		// A guest that is starting, or that restarts its init, may have missed it.
		if err == nil && now.listens && time.Since(asked) > askAgain {
			asked, err = time.Now(), ask(now)
		}
		return !now.on, err
	})
	if err == nil {
		err = d.awaitRelease(waiting, p)
	}
	return typed(op, "", fmt.Sprintf("wait for VM %s to shut down", p.id), err)
}
