package machinectr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const (
	// roomForDisk is what a volume has to have free for a new disk: its file system
	// takes some of it at once.
	roomForDisk = 16 << 20
	// minDiskBytes is the smallest file that a file system can be made in.
	minDiskBytes = 4 << 20
)

// checkDisks tells whether each disk can be made, or become what is wanted.
func (e *ensuring) checkDisks() error {
	for _, want := range e.req.Disks {
		var err error
		if have := e.anywhere(want.Name); have != nil {
			err = e.checkChange(want, *have)
		} else {
			err = e.checkNew(want)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// anywhere returns the disk of a name on any volume, or nil.
func (e *ensuring) anywhere(name string) *foundDisk {
	for _, f := range e.disks {
		if f.record.Name == name {
			return &f
		}
	}
	return nil
}

func (e *ensuring) checkChange(want hostapi.Disk, have foundDisk) error {
	switch {
	case have.volume.Name != want.Volume:
		return e.conflict(have.volume.Name, "disk %s is on volume %s and cannot move to %s", want.Name, have.volume.Name, want.Volume)
	case (have.record.Image == nil) != (want.Image == nil), want.Image != nil && have.record.Image.SHA256 != want.Image.SHA256:
		return e.conflict("", "disk %s was made from another image", want.Name)
	case want.Bytes != 0 && want.Bytes < have.record.Bytes:
		return e.conflict("", "disk %s has %d bytes and cannot shrink to %d", want.Name, have.record.Bytes, want.Bytes)
	case have.fileBytes < 0:
		return hostapi.Errorf(hostapi.VolumeFaulted, opEnsure, want.Volume, "VM %s: disk %s cannot be read", e.id, want.Name)
	}
	return nil
}

func (e *ensuring) checkNew(want hostapi.Disk) error {
	v, err := e.usable(opEnsure, want.Volume)
	if err != nil {
		return err
	}
	if e.config != nil {
		for _, had := range e.config.Disks {
			if had.Name == want.Name {
				// Its file cannot be seen: a new one would be an empty disk in its place.
				return hostapi.Errorf(hostapi.VolumeFaulted, opEnsure, had.Volume, "VM %s: disk %s cannot be read", e.id, want.Name)
			}
		}
	}
	if _, err := os.Lstat(v.disk(e.id, want.Name)); err == nil {
		return hostapi.Errorf(hostapi.NotOwned, opEnsure, want.Volume, "VM %s: where disk %s would be is something without a stamp", e.id, want.Name)
	} else if !errors.Is(err, os.ErrNotExist) {
		return typed(opEnsure, v.Name, "look for disk "+want.Name+" of VM "+string(e.id), err)
	}
	_, err = e.sizeOf(v, want)
	return err
}

// sizeOf is how large a new disk becomes.
func (e *ensuring) sizeOf(v Volume, want hostapi.Disk) (int64, error) {
	least, of := int64(minDiskBytes), "a file system"
	if want.Image != nil {
		staged, err := v.stagedImage(want.Image.SHA256)
		if err != nil {
			return 0, typed(opEnsure, v.Name, "look for image "+want.Image.Name, err)
		}
		if staged == nil {
			return 0, e.conflict(want.Image.SHA256, "image %s is not staged on volume %s", want.Image.Name, v.Name)
		}
		least, of = staged.Bytes, "image "+want.Image.Name
	}
	if want.Bytes == 0 {
		return least, nil
	}
	if want.Bytes < least {
		return 0, hostapi.Errorf(hostapi.InvalidArgument, opEnsure, "", "VM %s: disk %s has %d bytes, and %s needs %d", e.id, want.Name, want.Bytes, of, least)
	}
	return want.Bytes, nil
}

func (e *ensuring) makeDisks(ctx context.Context) error {
	for _, want := range e.req.Disks {
		have := e.disk(want.Name, want.Volume)
		var err error
		switch {
		case have == nil:
			err = e.makeDisk(ctx, want)
		case want.Bytes > have.record.Bytes:
			err = e.growDisk(ctx, want, *have)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (e *ensuring) makeDisk(ctx context.Context, want hostapi.Disk) error {
	v, err := e.usable(opEnsure, want.Volume)
	if err != nil {
		return err
	}
	size, err := e.sizeOf(v, want)
	if err != nil {
		return err
	}
	var fs syscall.Statfs_t
	if err := syscall.Statfs(v.Path, &fs); err != nil {
		return typed(opEnsure, v.Name, "measure volume "+v.Name, err)
	}
	if int64(fs.Bavail)*fs.Bsize < roomForDisk {
		return hostapi.Errorf(hostapi.OutOfCapacity, opEnsure, hostapi.ResourceVolume, "VM %s: volume %s has no room for disk %s", e.id, v.Name, want.Name)
	}
	record := disk{Stamp: e.req.Stamp, Name: want.Name, Bytes: size, Image: want.Image}
	return e.makeFolder(ctx, v, v.disk(e.id, want.Name), "disk "+want.Name,
		func(part string) error { return putJSON(filepath.Join(part, diskRecord), record) },
		func(part string) error { return makeFileSystem(ctx, filepath.Join(part, diskFile), size) })
}

// growDisk makes the file larger. The file system in it follows when the guest
// boots again, as launch.sh tells.
func (e *ensuring) growDisk(ctx context.Context, want hostapi.Disk, have foundDisk) error {
	record := have.record
	record.Bytes = want.Bytes
	if err := e.change(ctx, want.Volume, "grow disk "+want.Name, func() error {
		return os.Truncate(filepath.Join(have.folder, diskFile), want.Bytes)
	}); err != nil {
		return err
	}
	return e.change(ctx, want.Volume, "write the size of disk "+want.Name, func() error {
		return putJSON(filepath.Join(have.folder, diskRecord), record)
	})
}

// sameJSON tells whether two records are one in their files.
func sameJSON[T any](a, b T) bool {
	one, errOne := json.Marshal(a)
	other, errOther := json.Marshal(b)
	return errOne == nil && errOther == nil && bytes.Equal(one, other)
}
