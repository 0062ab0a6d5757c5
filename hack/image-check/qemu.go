package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// check is one proof.
type check struct {
	image, firmware, console string
	secureBoot               bool
	timeout                  time.Duration
}

// cloudInitEnd is what cloud-init says last when it has found its seed.
const cloudInitEnd = "Datasource DataSourceNoCloud"

// diskSize is more than the image has, so that the root file system has to grow.
const diskSize = "12G"

// prepare makes the guest's disk, in which the image lies untouched, and the memory of
// its firmware.
func (c *check) prepare(ctx context.Context, dir string) error {
	image, err := filepath.Abs(c.image)
	if err == nil {
		image, err = filepath.EvalSymlinks(image)
	}
	if err != nil {
		return fmt.Errorf("find image: %w", err)
	}
	format := strings.TrimPrefix(filepath.Ext(image), ".")
	create := exec.CommandContext(ctx, "qemu-img", "create", "-q", "-f", "qcow2", "-b", image, "-F", format, filepath.Join(dir, "disk.qcow2"), diskSize)
	if said, err := create.CombinedOutput(); err != nil {
		return fmt.Errorf("make a disk over %s: %w: %s", image, err, said)
	}
	variables, err := os.ReadFile(filepath.Join(c.firmware, c.firmwareFile("VARS")))
	if err != nil {
		return fmt.Errorf("read firmware: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "variables"), variables, 0o600)
}

func (c *check) firmwareFile(part string) string {
	switch {
	case !c.secureBoot:
		return "OVMF_" + part + "_4M.fd"
	case part == "CODE":
		return "OVMF_CODE_4M.secboot.fd"
	default:
		return "OVMF_VARS_4M.ms.fd"
	}
}

func (c *check) arguments(dir, seed string) []string {
	machine := "q35"
	if c.secureBoot {
		machine += ",smm=on"
	}
	args := []string{
		"-nodefaults", "-display", "none", "-no-reboot", "-machine", machine,
		// A CPU that knows little is emulated twice as fast as one that knows all.
		"-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "Westmere", "-smp", "2", "-m", "2048",
		"-drive", "if=pflash,unit=0,format=raw,readonly=on,file=" + filepath.Join(c.firmware, c.firmwareFile("CODE")),
		"-drive", "if=pflash,unit=1,format=raw,file=" + filepath.Join(dir, "variables"),
		"-device", "virtio-scsi-pci",
		"-drive", "if=none,id=disk,format=qcow2,cache=unsafe,file=" + filepath.Join(dir, "disk.qcow2"),
		"-device", "scsi-hd,drive=disk,bootindex=1",
		"-netdev", "user,id=net,restrict=on", "-device", "virtio-net-pci,netdev=net,mac=" + guestMAC,
		"-device", "virtio-rng-pci",
		"-serial", "stdio",
	}
	if c.secureBoot {
		args = append(args, "-global", "driver=cfi.pflash01,property=secure,value=on")
	}
	if seed != "" {
		args = append(args, "-drive", "if=none,id=seed,format=raw,readonly=on,media=cdrom,file="+seed, "-device", "scsi-cd,drive=seed")
	}
	return args
}

// boot lets the guest run until it has reported and switched itself off. The time is
// that until cloud-init's end, or without a seed until the report.
func (c *check) boot(ctx context.Context, dir, seed string, console io.Writer) (report, time.Duration, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("the guest did not report within %v", c.timeout))
	defer cancel()
	qemu := exec.CommandContext(ctx, "qemu-system-x86_64", c.arguments(dir, seed)...)
	var complaints strings.Builder
	qemu.Stderr = &complaints
	output, err := qemu.StdoutPipe()
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	if err := qemu.Start(); err != nil {
		return nil, 0, fmt.Errorf("start QEMU: %w", err)
	}
	said, reported := report{}, false
	var took time.Duration
	lines := bufio.NewScanner(io.TeeReader(output, console))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if seed != "" && took == 0 && strings.Contains(lines.Text(), cloudInitEnd) {
			took = time.Since(began)
		}
		if said.read(lines.Text()) {
			reported = true
			if seed == "" {
				took = time.Since(began)
			}
		}
	}
	err = qemu.Wait()
	switch {
	case ctx.Err() != nil:
		return nil, 0, context.Cause(ctx)
	case err != nil:
		return nil, 0, fmt.Errorf("QEMU: %w: %s", err, strings.TrimSpace(complaints.String()))
	case lines.Err() != nil:
		return nil, 0, fmt.Errorf("read console: %w", lines.Err())
	case !reported:
		return nil, 0, errors.New("the guest went off without a report")
	case took == 0:
		return nil, 0, errors.New("cloud-init did not come to its end with the seed")
	}
	return said, took, nil
}
