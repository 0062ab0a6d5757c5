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

	"github.com/capstan-k8s/capstan/internal/console"
)

// abandonTime bounds what it takes to end a guest that did not start in time.
const abandonTime = 10 * time.Second

//go:embed launch.sh
var launcher []byte

// launch starts the guest, hands it the lock of its disk, and returns once it
// boots. The guest is no child that would end with the agent: it is a session of
// its own, in its own control groups.
func (d *Driver) launch(ctx context.Context, p *parts, lock *os.File) error {
	// A guest that ended by itself may still hold its disks for a moment.
	if err := d.awaitRelease(ctx, p); err != nil {
		return err
	}
	told, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd, err := d.startLauncher(p, tell, lock)
	if err := errors.Join(err, tell.Close()); err != nil {
		return errors.Join(err, told.Close())
	}
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(ended)
	}()
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(told).ReadString('\n')
		answer <- line
	}()
	select {
	case line := <-answer:
		err = told.Close()
		if line == "ok\n" {
			return err
		}
		err = errors.Join(err, d.abandon(ctx, p, cmd, ended))
		_, lines := console.Read(consoleOf(d.runPath(p.id)))
		return errors.Join(fmt.Errorf("the guest was not started: %s", strings.Join(lines[max(len(lines)-3, 0):], "; ")), err)
	case <-ctx.Done():
		// The first ends the reader, too.
		return errors.Join(ctx.Err(), told.Close(), d.abandon(ctx, p, cmd, ended))
	}
}

// startLauncher starts launch.sh, which is handed the files beginning with
// descriptor 3.
func (d *Driver) startLauncher(p *parts, files ...*os.File) (*exec.Cmd, error) {
	bash, err := lookPath("bash")
	if err != nil {
		return nil, err
	}
	output, err := os.OpenFile(filepath.Join(d.runPath(p.id), consoleFile), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	// Nothing of the agent's own environment is a guest's business.
	cmd := exec.Command(bash, filepath.Join(d.runPath(p.id), "launch.sh")) //nolint:noctx,gosec // it outlives every call, and runs what this package embeds
	cmd.Env, cmd.Dir = d.launchEnvironment(p), "/"
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = output, output, files
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd, errors.Join(cmd.Start(), output.Close())
}

// abandon ends a guest that nobody waits for any more: the next call would take
// it for one that starts.
func (d *Driver) abandon(ctx context.Context, p *parts, cmd *exec.Cmd, ended <-chan struct{}) error {
	// The call has no time left, and this takes none to speak of.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abandonTime)
	defer cancel()
	// It may not be in the guest's control group yet.
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil && !gone(err) {
		return err
	}
	select {
	case <-ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	return errors.Join(d.groups.kill(ctx, p.id), d.removeNICs(ctx, p.id), d.awaitRelease(ctx, p))
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
