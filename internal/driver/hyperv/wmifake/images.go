package wmifake

import (
	"fmt"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmischema"
)

// vhd is a virtual disk.
type vhd struct {
	kind      int64
	bytes     int64
	fileBytes int64
	parent    string
}

// Kinds of virtual disks, by Msvm_VirtualHardDiskSettingData.Type.
const (
	dynamicDisk      = 3
	differencingDisk = 4
	vhdxFormat       = 3
	emptyDiskBytes   = 4 << 20

	// What a VHDX can be.
	leastDisk = 3 << 20
	mostDisk  = 64 << 40
)

// Image is the content of a file that Hyper-V takes for a virtual disk of so many bytes.
func Image(bytes int64, rest string) []byte { return fmt.Appendf(nil, "vhdxfile %d\n%s", bytes, rest) }

// virtual returns the virtual disk that a file is, nil if it is none.
func (d *disk) virtual(f *file) *vhd {
	if f.vhd != nil {
		return f.vhd
	}
	measure := d.world.options.Measure
	if measure == nil {
		measure = measureImage
	}
	bytes := measure(f.content)
	if bytes == 0 {
		return nil
	}
	return &vhd{kind: dynamicDisk, bytes: bytes, fileBytes: f.bytes()}
}

// measureImage knows what Image makes.
func measureImage(content []byte) (bytes int64) {
	if _, err := fmt.Sscanf(string(content[:min(len(content), 64)]), "vhdxfile %d\n", &bytes); err != nil {
		return 0
	}
	return bytes
}

func message(text string, cause uint32) string { return fmt.Sprintf("%s ('0x%08X').", text, cause) }

func createVirtualHardDisk(c *call) error {
	d, ok := read(wmi.Virtualization, c.text("VirtualDiskSettingData"), "Msvm_VirtualHardDiskSettingData")
	if !ok || d.number("Format") != vhdxFormat || d.text("Path") == "" {
		return c.refuse(wmi.InvalidParameter)
	}
	made := &vhd{kind: d.number("Type"), bytes: d.number("MaxInternalSize"), fileBytes: emptyDiskBytes, parent: d.text("ParentPath")}
	disk := c.world.disk
	switch made.kind {
	case dynamicDisk:
		if made.bytes < leastDisk || made.bytes > mostDisk || made.bytes%512 != 0 || made.parent != "" {
			return c.refuse(wmi.InvalidParameter)
		}
	case differencingDisk:
		if made.bytes != 0 {
			// A differencing disk is as large as its parent until it is resized.
			return c.refuse(wmi.InvalidParameter)
		}
		parent, err := disk.at(made.parent)
		if err != nil || disk.virtual(parent) == nil {
			return c.fail(wmi.Failed, message("The system cannot find the file specified", wmi.CauseFileNotFound))
		}
		made.bytes = disk.virtual(parent).bytes
	default:
		return c.refuse(wmi.NotSupported)
	}
	if v := disk.volume(d.text("Path")); v == nil || v.faulty {
		return c.fail(wmi.Failed, message("The system cannot find the path specified", wmi.CausePathNotFound))
	}
	if disk.files[key(d.text("Path"))] != nil {
		return c.fail(wmi.Failed, message("The file exists", wmi.CauseFileExists))
	}
	if err := disk.put(&file{path: d.text("Path"), vhd: made, id: c.world.name("disk")}); err != nil {
		return c.fail(wmi.Failed, message("There is not enough space on the disk", wmi.CauseDiskFull))
	}
	return nil
}

func resizeVirtualHardDisk(c *call) error {
	f, err := c.world.disk.at(c.text("Path"))
	if err != nil || f.vhd == nil {
		return c.fail(wmi.Failed, message("The system cannot find the file specified", wmi.CauseFileNotFound))
	}
	size := c.number("MaxInternalSize")
	if size < f.vhd.bytes || size > mostDisk || size%512 != 0 {
		return c.refuse(wmi.InvalidParameter)
	}
	f.vhd.bytes = size
	return nil
}

func getVirtualHardDiskSettingData(c *call) error {
	f, err := c.world.disk.at(c.text("Path"))
	if err != nil {
		return c.fail(wmi.Failed, message("The system cannot find the file specified", wmi.CauseFileNotFound))
	}
	is := c.world.disk.virtual(f)
	if is == nil {
		return c.fail(wmi.Failed, message("The file or directory is corrupted and unreadable", 0x80070570))
	}
	class, _ := wmischema.Find(wmi.Virtualization, "Msvm_VirtualHardDiskSettingData")
	values := map[string]any{"path": f.path, "maxinternalsize": is.bytes, "type": is.kind, "format": int64(vhdxFormat)}
	if is.parent != "" {
		values["parentpath"] = is.parent
	}
	c.results[strings.ToLower("SettingData")] = embed(class, values)
	return nil
}
