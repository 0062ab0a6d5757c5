package machinectr

import (
	"bufio"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

//go:embed launch.sh
var launcher []byte

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
		return hostapi.VM{}, notFound(op, req.Stamp.ID)
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
		return typed(op, p.config.Disks[0].Volume, fmt.Sprintf("%s VM %s", doing, p.id), d.change(ctx, effect))
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
	if err := step("make the control groups of", func() error {
		return d.groups.create(p.id, p.config.Processors, p.config.MemoryMiB)
	}); err != nil {
		return err
	}
	if err := step("make the folder of", func() error { return d.makeRunFolder(p) }); err != nil {
		return err
	}
	return step("start", func() error { return d.launch(ctx, p) })
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

// makeRunFolder makes what a guest finds at its start, in place of what an
// earlier one left.
func (d *Driver) makeRunFolder(p *parts) error {
	run := d.runPath(p.id)
	if err := errors.Join(os.RemoveAll(run), os.MkdirAll(filepath.Join(run, seedMount), 0o700)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(run, "launch.sh"), launcher, 0o600); err != nil {
		return err
	}
	return d.insertSeed(p)
}

// launch starts the guest and returns once it boots. The guest is no child that
// would end with the agent: it is a session of its own, in its own control
// groups.
func (d *Driver) launch(ctx context.Context, p *parts) (err error) {
	// A guest that ended by itself may still hold its disks for a moment.
	if err := d.awaitRelease(ctx, p); err != nil {
		return err
	}
	output, err := os.OpenFile(filepath.Join(d.runPath(p.id), consoleFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return errors.Join(err, output.Close())
	}
	bash, err := lookPath("bash")
	if err != nil {
		return errors.Join(err, output.Close(), told.Close(), tell.Close())
	}
	// Nothing of the agent's own environment is a guest's business.
	cmd := exec.Command(bash, filepath.Join(d.runPath(p.id), "launch.sh")) //nolint:noctx,gosec // it outlives every call, and runs what this package embeds
	cmd.Env, cmd.Dir = d.launchEnvironment(p), "/"
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = output, output, []*os.File{tell}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	if err := errors.Join(err, tell.Close(), output.Close()); err != nil {
		return errors.Join(err, told.Close())
	}
	go func() { _ = cmd.Wait() }()
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(told).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		err = told.Close()
		if line != "ok\n" {
			lines := console(d.runPath(p.id))
			return errors.Join(fmt.Errorf("the guest was not started: %s", strings.Join(lines[max(len(lines)-3, 0):], "; ")), err)
		}
		return err
	case <-ctx.Done():
		// This ends the reader, too.
		return errors.Join(ctx.Err(), told.Close())
	}
}

func (d *Driver) launchEnvironment(p *parts) []string {
	c := p.config
	boot := p.disk(c.Disks[0].Name, c.Disks[0].Volume)
	below := ""
	if boot.record.Image != nil {
		below = filepath.Join(boot.volume.image(boot.record.Image.SHA256), imageFile)
	}
	var data, nics strings.Builder
	for _, want := range c.Disks[1:] {
		fmt.Fprintf(&data, "%s %s\n", want.Name, filepath.Join(p.disk(want.Name, want.Volume).folder, diskFile))
	}
	for i, nic := range c.NICs {
		s, _ := d.findSwitch("", nic.Switch)
		fmt.Fprintf(&nics, "eth%d %s %s %s %s\n", i, nic.MAC, d.outerName(p.id, i), s.bridge(nic.VLAN), nicMark+d.Host+"-"+string(p.id))
	}
	return []string{
		"PATH=" + os.Getenv("PATH") + ":/usr/sbin:/sbin", "LC_ALL=C",
		"RUN=" + d.runPath(p.id), "ID=" + string(p.id), "CGROUPS=" + strings.Join(d.groups.launcher(p.id), "\n"), "GUEST=" + d.groups.nspawn(p.id),
		"DISK=" + filepath.Join(boot.folder, diskFile), "DATA=" + data.String(), "IMAGE=" + below, "LAYER=" + d.Layer, "NICS=" + nics.String(),
	}
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
