package machinectr

import (
	"path/filepath"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// claim says on which volumes files of a VM may lie. It is written before the
// first of them and removed after the last: where there is none, and nothing
// bears the VM's stamp, there is nothing.
type claim struct {
	Stamp   hostapi.Stamp `json:"stamp"`
	Volumes []string      `json:"volumes"`
}

// config is a VM, without its disks.
type config struct {
	Stamp      hostapi.Stamp  `json:"stamp"`
	Name       string         `json:"name"`
	Owner      string         `json:"owner"`
	OS         hostapi.OS     `json:"os"`
	Processors int32          `json:"processors"`
	MemoryMiB  int64          `json:"memoryMiB"`
	Disks      []hostapi.Disk `json:"disks"`
	NICs       []hostapi.NIC  `json:"nics"`
}

// disk is what lies beside the file of a disk.
type disk struct {
	Stamp hostapi.Stamp     `json:"stamp"`
	Name  string            `json:"name"`
	Bytes int64             `json:"bytes"`
	Image *hostapi.ImageRef `json:"image,omitempty"`
}

// seed is what lies beside the file of a seed.
type seed struct {
	Stamp  hostapi.Stamp `json:"stamp"`
	SHA256 string        `json:"sha256"`
}

// image is what lies beside the file of an image.
type image struct {
	hostapi.ImageRef `json:",inline"`
	Bytes            int64 `json:"bytes"`
}

// volume is what both the host and the volume have, so that an empty folder or
// another volume in its place is told from it.
type volume struct {
	ID string `json:"id"`
}

// Where things lie. A path is made of identities alone, so that whatever was
// begun is found again. No name of a disk has a dot in it.
const (
	imageFile, imageRecord = "image.squashfs", "image.json"
	diskFile, diskRecord   = "disk.img", "disk.json"
	seedFile, seedRecord   = "seed.iso", "seed.json"
	diskSuffix             = ".disk"
	seedFolder             = "seed.dvd"
	partial                = ".partial"
)

func (d *Driver) claimPath(id hostapi.VMID) string {
	return filepath.Join(d.Dir, "claims", string(id)+".json")
}

func (d *Driver) configPath(id hostapi.VMID) string {
	return filepath.Join(d.Dir, "vms", string(id)+".json")
}

func (d *Driver) volumePath(v Volume) string { return filepath.Join(d.Dir, "volumes", v.Name+".json") }

func (v Volume) record() string { return filepath.Join(v.Path, "capstan", "volume.json") }

func (v Volume) vms() string    { return filepath.Join(v.Path, "capstan", "vms") }
func (v Volume) images() string { return filepath.Join(v.Path, "capstan", "images") }

func (v Volume) vm(id hostapi.VMID) string { return filepath.Join(v.vms(), string(id)) }

func (v Volume) disk(id hostapi.VMID, name string) string {
	return filepath.Join(v.vm(id), name+diskSuffix)
}

func (v Volume) seed(id hostapi.VMID) string { return filepath.Join(v.vm(id), seedFolder) }

func (v Volume) image(sha256 string) string { return filepath.Join(v.images(), sha256) }
