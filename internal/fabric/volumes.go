package fabric

import (
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// describe is the volume as a host sees it, or as an auditor does, who reads it
// even if it is faulted.
func (v *volume) describe(audit bool) fabricapi.Volume {
	out := fabricapi.Volume{Name: v.name, Bytes: v.bytes, Fault: v.Fault}
	if audit || v.Fault.Usable() {
		out.FreeBytes, out.ProvisionedBytes = v.freeBytes(), v.provisionedBytes()
	}
	return out
}

func (v *volume) freeBytes() int64 {
	free := v.bytes - v.FilledBytes
	for _, f := range v.files {
		free -= f.FileBytes
	}
	return max(free, 0)
}

// provisionedBytes is what the disks on the volume may grow to. Images never
// grow.
func (v *volume) provisionedBytes() int64 {
	var sum int64
	for _, f := range v.files {
		if f.Kind == fabricapi.VHDX && f.Image == nil {
			sum += f.VirtualBytes
		}
	}
	return sum
}

func (v *volume) checkFree(bytes int64) error {
	if free := v.freeBytes(); bytes > free {
		return fabricapi.Refuse(fabricapi.VolumeFull, v.name,
			"volume %s has %d bytes free, %d are asked for", v.name, free, bytes)
	}
	return nil
}

// fullPath is how people on a host see a file of the volume.
func (v *volume) fullPath(path string) string {
	if v.site.cluster {
		return `C:\ClusterStorage\` + v.name + `\` + path
	}
	return `C:\Volumes\` + v.name + `\` + path
}

// child returns a differencing disk whose parent is at path.
func (v *volume) child(path string) *fabricapi.File {
	for _, f := range v.files {
		if f.Parent == path {
			return f
		}
	}
	return nil
}

// find returns a file, faulted volume or not.
func (s *site) find(ref fabricapi.FileRef) *fabricapi.File {
	if v := s.volumes[ref.Volume]; v != nil {
		return v.files[ref.Path]
	}
	return nil
}

// file returns a file on a volume that can be used.
func (h *Host) file(ref fabricapi.FileRef) (*fabricapi.File, error) {
	v, err := h.volume(ref.Volume)
	if err != nil {
		return nil, err
	}
	file := v.files[ref.Path]
	if file == nil {
		return nil, fabricapi.Refuse(fabricapi.NotFound, ref.Path, "there is no file %s", v.fullPath(ref.Path))
	}
	return file, nil
}

// place returns the volume for a new file, which must have room and nothing at
// the path.
func (h *Host) place(ref fabricapi.FileRef, bytes int64) (*volume, error) {
	v, err := h.volume(ref.Volume)
	if err != nil {
		return nil, err
	}
	if !validPath(ref.Path) {
		return nil, fabricapi.Refuse(fabricapi.InvalidParameter, ref.Path, "%q is no path on a volume", ref.Path)
	}
	if v.files[ref.Path] != nil {
		return nil, fabricapi.Refuse(fabricapi.Exists, ref.Path, "there is a file %s already", v.fullPath(ref.Path))
	}
	return v, v.checkFree(bytes)
}
