package hostfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// partial ends the name of a file that is being written.
const partial = ".writing"

// OS is the file system of this machine. Go's own os package sees to paths that are long.
type OS struct{}

var _ Files = OS{}

// Stat implements Files.
func (OS) Stat(path string) (Entry, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return Entry{}, explain(err)
	}
	return entryOf(info), nil
}

func entryOf(info fs.FileInfo) Entry {
	e := Entry{Name: info.Name(), Folder: info.IsDir(), ReadOnly: info.Mode().Perm()&0o200 == 0}
	if !e.Folder {
		e.Bytes = info.Size()
	}
	return e
}

// List implements Files.
func (OS) List(folder string) ([]Entry, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, explain(err)
	}
	var out []Entry
	for _, entry := range entries {
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, explain(err)
		}
		out = append(out, entryOf(info))
	}
	return out, nil
}

// Read implements Files.
func (OS) Read(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	return content, explain(err)
}

// Write implements Files.
func (OS) Write(path string, content []byte) error {
	temporary := path + partial
	f, err := os.OpenFile(temporary, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return explain(err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(temporary))
	}
	return explain(err)
}

// Open implements Files.
func (OS) Open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, explain(err)
	}
	return f, nil
}

// Append implements Files.
func (OS) Append(path string, offset int64, piece []byte) error {
	mode := os.O_WRONLY
	if offset == 0 {
		mode |= os.O_CREATE
	}
	f, err := os.OpenFile(path, mode, 0o600)
	if err != nil {
		return explain(err)
	}
	info, err := f.Stat()
	if err == nil && info.Size() != offset {
		err = fmt.Errorf("%s has %d bytes, not %d", filepath.Base(path), info.Size(), offset)
	}
	if err == nil {
		_, err = f.WriteAt(piece, offset)
	}
	return explain(errors.Join(err, f.Close()))
}

// MakeFolder implements Files.
func (OS) MakeFolder(path string) error { return explain(os.MkdirAll(path, 0o700)) }

// Rename implements Files.
func (OS) Rename(from, to string) error {
	// Windows replaces a file by a rename, and so would this.
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("rename to %s: %w", to, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return explain(err)
	}
	return explain(os.Rename(from, to))
}

// Protect implements Files.
func (OS) Protect(path string) error { return explain(os.Chmod(path, 0o400)) }

// Remove implements Files.
func (OS) Remove(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrPermission) {
		// A file that is read-only is not removed on Windows.
		if os.Chmod(path, 0o600) == nil {
			err = os.Remove(path)
		}
	}
	return explain(err)
}
