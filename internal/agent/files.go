package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// files is the disk as the journal needs it. Tests stand in for it to cut the
// agent off at every write.
type files interface {
	// Put makes path hold data. After it has returned, a power failure leaves
	// data there; before, what was there.
	Put(path string, data []byte) error
	// Remove removes path if it exists.
	Remove(path string) error
	// Rename moves a file within its disk.
	Rename(from, to string) error
	// Names returns the names of the files in a folder.
	Names(dir string) ([]string, error)
	// Get returns what path holds.
	Get(path string) ([]byte, error)
}

// disk is a files on a real file system.
type disk struct{}

func (disk) Put(path string, data []byte) (err error) {
	dir := filepath.Dir(path)
	// Not even the machine's other users may read what VMs there are.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	part, err := os.CreateTemp(dir, ".part-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(part.Name()))
		}
	}()
	if _, err := part.Write(data); err != nil {
		return errors.Join(err, part.Close())
	}
	if err := part.Sync(); err != nil {
		return errors.Join(err, part.Close())
	}
	if err := part.Close(); err != nil {
		return err
	}
	if err := os.Rename(part.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

func (disk) Remove(path string) error {
	if err := os.Remove(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return syncDir(filepath.Dir(path))
}

func (disk) Rename(from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return err
	}
	return os.Rename(from, to)
}

func (disk) Names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, entry := range entries {
		if !entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names, err
}

func (disk) Get(path string) ([]byte, error) { return os.ReadFile(path) }

// syncDir makes a rename last. Windows has no such call and needs none: NTFS
// journals its metadata.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
