package machinectr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// lockTime is how long a lock is waited for that a process holds which has been
// killed, and of which the kernel has something left.
const lockTime = 2 * time.Second

// lockFolder takes a lock that goes with its holder, however that ends.
func lockFolder(ctx context.Context, folder string) (*os.File, error) {
	f, err := os.Open(folder)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, lockTime)
	defer cancel()
	err = until(waiting, func() (bool, error) {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return false, nil
		}
		return err == nil, err
	})
	if err == nil {
		return f, nil
	}
	if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
		err = syscall.EWOULDBLOCK
	}
	return nil, errors.Join(err, f.Close())
}

// lockFolders keeps every other driver off the host's folders: two that share
// one would each take the other's guests for what somebody left.
func (d *Driver) lockFolders(ctx context.Context) error {
	for _, folder := range slices.Compact([]string{filepath.Clean(d.Dir), filepath.Clean(d.RunDir)}) {
		lock, err := lockFolder(ctx, folder)
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = errors.New("another agent has it")
		}
		if err != nil {
			return fmt.Errorf("take folder %s: %w", folder, err)
		}
		d.locks = append(d.locks, lock)
	}
	return nil
}

// Close lets go of the host's folders, for another driver to take. Guests go on.
// The driver is of no use any more.
func (d *Driver) Close() error {
	var err error
	for _, lock := range d.locks {
		err = errors.Join(err, lock.Close())
	}
	d.locks = nil
	return err
}

// lockDisk is the last guard against two guests on one disk. The lock goes to
// the guest, and is held as long as it runs.
func lockDisk(ctx context.Context, id hostapi.VMID, f *foundDisk) (*os.File, error) {
	lock, err := lockFolder(ctx, f.folder)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, hostapi.Errorf(hostapi.Conflict, "", f.volume.Name, "another guest than that of VM %s has its disk %s", id, f.record.Name)
	}
	return lock, typed("", f.volume.Name, "lock the disk", err)
}
