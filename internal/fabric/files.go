package fabric

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/fabric/store"
)

// emptyDisk is what a dynamic or differencing disk takes before anything is
// written to it.
const emptyDisk = 4 << 20

func validPath(path string) bool {
	if path == "" || strings.ContainsAny(path, "/:*?\"<>|") {
		return false
	}
	for part := range strings.SplitSeq(path, `\`) {
		if part == "" || part == "." || part == ".." {
			return false
		}
	}
	return true
}

// CreateDisk makes a dynamic disk, or a differencing disk of a parent.
func (h *Host) CreateDisk(_ context.Context, req fabricapi.CreateDiskRequest) (out fabricapi.File, err error) {
	err = h.update(func(t *tx) error {
		v, err := h.place(req.FileRef, emptyDisk)
		if err != nil {
			return err
		}
		size := req.Bytes
		if req.Parent != "" {
			parent := v.files[req.Parent]
			if parent == nil || parent.VirtualBytes == 0 {
				return fabricapi.Refuse(fabricapi.MissingParent, req.Parent,
					"volume %s has no whole disk %s to be the parent of %s", v.name, req.Parent, req.Path)
			}
			size = max(size, parent.VirtualBytes)
			if req.Bytes != 0 && req.Bytes < parent.VirtualBytes {
				return fabricapi.Refuse(fabricapi.InvalidParameter, req.Path,
					"a disk of %d bytes is smaller than its parent of %d", req.Bytes, parent.VirtualBytes)
			}
		}
		if size < 1 {
			return fabricapi.Refuse(fabricapi.InvalidParameter, req.Path, "a disk of %d bytes cannot be made", size)
		}
		out = fabricapi.File{
			FileRef: req.FileRef, ID: h.w.NewID(), Kind: fabricapi.VHDX, FullPath: v.fullPath(req.Path), Label: req.Label,
			Stamp: req.Stamp, FileBytes: emptyDisk, VirtualBytes: size, Parent: req.Parent,
		}
		v.add(t, out)
		return nil
	})
	return out, err
}

func (v *volume) add(t *tx, file fabricapi.File) {
	v.files[file.Path] = &file
	t.saveFile(v.site, &file)
}

func (v *volume) remove(t *tx, file *fabricapi.File) {
	delete(v.files, file.Path)
	t.Delete(kindFile, fileKey(v.site, file.FileRef))
}

// ResizeDisk makes a disk larger, which SCSI disks take while their VM runs.
func (h *Host) ResizeDisk(_ context.Context, req fabricapi.ResizeDiskRequest) (out fabricapi.File, err error) {
	err = h.update(func(t *tx) error {
		file, err := h.file(req.FileRef)
		if err != nil {
			return err
		}
		if file.Kind != fabricapi.VHDX || file.ReadOnly {
			return fabricapi.Refuse(fabricapi.InvalidParameter, req.Path, "%s cannot be resized", file.FullPath)
		}
		if child := h.site.volumes[req.Volume].child(req.Path); child != nil {
			return fabricapi.Refuse(fabricapi.InUse, req.Path, "%s is the parent of %s", file.FullPath, child.FullPath)
		}
		if req.Bytes < file.VirtualBytes {
			return fabricapi.Refuse(fabricapi.InvalidParameter, req.Path, "%s is larger than %d bytes", file.FullPath, req.Bytes)
		}
		file.VirtualBytes = req.Bytes
		t.saveFile(h.site, file)
		out = *file
		return nil
	})
	return out, err
}

// WriteISO makes an ISO file.
func (h *Host) WriteISO(_ context.Context, req fabricapi.WriteISORequest) (out fabricapi.File, err error) {
	err = h.update(func(t *tx) error {
		v, err := h.place(req.FileRef, int64(len(req.Content)))
		if err != nil {
			return err
		}
		out = fabricapi.File{
			FileRef: req.FileRef, ID: h.w.NewID(), Kind: fabricapi.ISO, FullPath: v.fullPath(req.Path), Stamp: req.Stamp,
			FileBytes: int64(len(req.Content)), Checksum: fmt.Sprintf("%x", sha256.Sum256(req.Content)),
		}
		// The content comes before the record: a file never lacks its content.
		if err := store.WriteFile(h.w.isoPath(&out), req.Content); err != nil {
			return err
		}
		v.add(t, out)
		return nil
	})
	return out, err
}

// ListFiles returns files, of the volumes that can be read unless some are named.
func (h *Host) ListFiles(_ context.Context, req fabricapi.ListFilesRequest) (out []fabricapi.File, err error) {
	err = h.read(func() error {
		for _, name := range req.Volumes {
			if _, err := h.volume(name); err != nil {
				return err
			}
		}
		for name, v := range h.site.volumes {
			if !v.Fault.Usable() || (len(req.Volumes) > 0 && !slices.Contains(req.Volumes, name)) {
				continue
			}
			for _, f := range v.files {
				if (req.StampID == "" || (f.Stamp != nil && f.Stamp.ID == req.StampID)) && strings.HasPrefix(f.Path, req.Folder) {
					out = append(out, *f)
				}
			}
		}
		slices.SortFunc(out, func(a, b fabricapi.File) int { return strings.Compare(a.FullPath, b.FullPath) })
		return nil
	})
	return out, err
}

// GetFile returns a file.
func (h *Host) GetFile(_ context.Context, ref fabricapi.FileRef) (out fabricapi.File, err error) {
	err = h.read(func() error {
		file, err := h.file(ref)
		if err == nil {
			out = *file
		}
		return err
	})
	return out, err
}

// unheld returns a file that no VM, child or copy depends on.
func (h *Host) unheld(ref fabricapi.FileRef) (*fabricapi.File, error) {
	file, err := h.file(ref)
	if err != nil {
		return nil, err
	}
	if by := h.site.holder(ref); by != nil {
		return nil, fabricapi.Refuse(fabricapi.InUse, ref.Path, "VM %s (%s) holds %s", by.Name, by.GUID, file.FullPath)
	}
	if child := h.site.volumes[ref.Volume].child(ref.Path); child != nil {
		return nil, fabricapi.Refuse(fabricapi.InUse, ref.Path, "%s is the parent of %s", file.FullPath, child.FullPath)
	}
	if h.w.copying[fileKey(h.site, ref)] {
		return nil, fabricapi.Refuse(fabricapi.Busy, ref.Path, "%s is being copied", file.FullPath)
	}
	return file, nil
}

// DeleteFile removes a file that nothing depends on.
func (h *Host) DeleteFile(_ context.Context, ref fabricapi.FileRef) (fabricapi.None, error) {
	return fabricapi.None{}, h.update(func(t *tx) error {
		file, err := h.unheld(ref)
		if err != nil {
			return err
		}
		h.record(t, fabricapi.Deed{Op: "DeleteFile", Object: file.FullPath, Stamp: file.Stamp})
		h.site.volumes[ref.Volume].remove(t, file)
		h.w.drop(t, file)
		return nil
	})
}

// MoveFile renames a file on its volume.
func (h *Host) MoveFile(_ context.Context, req fabricapi.MoveFileRequest) (out fabricapi.File, err error) {
	err = h.update(func(t *tx) error {
		file, err := h.unheld(req.FileRef)
		if err != nil {
			return err
		}
		v, err := h.place(fabricapi.FileRef{Volume: req.Volume, Path: req.To}, 0)
		if err != nil {
			return err
		}
		v.remove(t, file)
		file.Path, file.FullPath = req.To, v.fullPath(req.To)
		file.ReadOnly = file.ReadOnly || req.ReadOnly
		v.add(t, *file)
		out = *file
		return nil
	})
	return out, err
}
