package hyperv

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// computer is what a host has.
type computer struct{ processors, memoryMiB int64 }

func (d *Driver) computer(ctx context.Context, n *node) (computer, error) {
	o, err := n.only(ctx, wmi.CIMv2, "Win32_ComputerSystem", "NumberOfLogicalProcessors", "TotalPhysicalMemory")
	return computer{o.Number("NumberOfLogicalProcessors"), o.Number("TotalPhysicalMemory") >> 20}, err
}

// Inventory implements hostapi.Driver.
func (d *Driver) Inventory(ctx context.Context) (hostapi.Inventory, error) {
	const op = "Inventory"
	out := hostapi.Inventory{Host: d.Host, Images: []hostapi.Image{}}
	own, err := d.node(ctx, d.Host)
	if err != nil {
		return out, typed(op, "", "connect to the host", err)
	}
	for _, ask := range []func(context.Context, *node, *hostapi.Inventory) error{d.askHost, d.askSwitches, d.askCluster, d.askVMs} {
		if err := ask(ctx, own, &out); err != nil {
			return out, typed(op, "", "describe the host", err)
		}
	}
	volumes, err := d.volumes(ctx, op)
	if err != nil {
		return out, err
	}
	for _, v := range volumes {
		described, images, err := d.describeVolume(ctx, own, v)
		if err != nil {
			return out, typed(op, v.name, "describe volume "+v.name, err)
		}
		out.Volumes, out.Images = append(out.Volumes, described), append(out.Images, images...)
	}
	return out, nil
}

// neverRestarted is a process that runs from boot to shutdown. The time of its start, unlike that of the boot, does
// not move when the clock is set.
const neverRestarted = "wininit.exe"

func (d *Driver) askHost(ctx context.Context, own *node, out *hostapi.Inventory) error {
	has, err := d.computer(ctx, own)
	if err != nil {
		return err
	}
	system, err := own.only(ctx, wmi.CIMv2, "Win32_OperatingSystem", "Version", "FreePhysicalMemory")
	if err != nil {
		return err
	}
	first, err := own.Query(ctx, wmi.Query{
		Namespace: wmi.CIMv2, Class: "Win32_Process", Where: wmi.Values{"Name": neverRestarted}, Properties: []string{"CreationDate"},
	})
	if err != nil {
		return err
	}
	if len(first) == 1 {
		began, err := wmi.ParseTime(first[0].String("CreationDate"))
		if err != nil {
			return err
		}
		// In one zone, or the end of daylight saving would be a boot.
		out.BootID = began.Format(time.RFC3339Nano)
	}
	out.HypervisorVersion = "Windows " + system.String("Version")
	out.Processors, out.MemoryMiB = int32(has.processors), has.memoryMiB
	// Windows counts in KiB.
	out.MemoryFreeMiB = system.Number("FreePhysicalMemory") >> 10
	return nil
}

func (d *Driver) askSwitches(ctx context.Context, own *node, out *hostapi.Inventory) error {
	switches, err := own.Query(ctx, wmi.Query{Namespace: wmi.Virtualization, Class: "Msvm_VirtualEthernetSwitch", Properties: []string{"ElementName"}})
	for _, s := range switches {
		out.Switches = append(out.Switches, s.String("ElementName"))
	}
	slices.Sort(out.Switches)
	return err
}

func (d *Driver) askCluster(ctx context.Context, own *node, out *hostapi.Inventory) error {
	if !d.cluster {
		return nil
	}
	cluster, err := own.only(ctx, wmi.Cluster, "MSCluster_Cluster", "Name")
	out.FailoverCluster = cluster.String("Name")
	return err
}

func (d *Driver) askVMs(ctx context.Context, own *node, out *hostapi.Inventory) error {
	found, err := own.machines(ctx)
	for _, m := range found {
		if !m.off() {
			out.VMs++
		}
	}
	return err
}

func (d *Driver) describeVolume(ctx context.Context, own *node, v volume) (hostapi.Volume, []hostapi.Image, error) {
	out := hostapi.Volume{Name: v.name, Fault: v.fault}
	if !v.usable() {
		return out, nil, nil
	}
	var err error
	if out.Bytes, out.FreeBytes, err = d.capacity(ctx, own, v); err != nil {
		return out, nil, err
	}
	folders, err := d.Files.List(v.vms())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return out, nil, err
	}
	for _, f := range folders {
		record, err := getJSON[folderRecord](d.Files, join(v.vms(), f.Name, recordName))
		if err != nil {
			return out, nil, err
		}
		if record == nil {
			continue
		}
		for _, disk := range record.Disks {
			out.ProvisionedBytes += disk.Bytes
		}
	}
	images, err := d.imagesOn(v)
	return out, images, err
}

func (d *Driver) imagesOn(v volume) ([]hostapi.Image, error) {
	entries, err := d.Files.List(v.images())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []hostapi.Image
	for _, e := range entries {
		sum, ok := strings.CutSuffix(e.Name, diskSuffix)
		if !ok || strings.HasSuffix(sum, partialName) {
			continue
		}
		record, err := getJSON[imageRecord](d.Files, v.imageRecord(sum))
		if err != nil {
			return nil, err
		}
		if record != nil {
			out = append(out, staging{req: hostapi.StageImageRequest{Image: hostapi.ImageRef{SHA256: sum}}, volume: v}.image(*record))
		}
	}
	return out, nil
}
