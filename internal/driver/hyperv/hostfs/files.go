package hostfs

import (
	"errors"
	"io"
)

// Errors beside fs.ErrNotExist and fs.ErrExist.
var (
	// ErrFull means that there is no room on the volume.
	ErrFull = errors.New("there is not enough room on the volume")
	// ErrUnavailable means that the volume cannot be used now. It says nothing about what is on it.
	ErrUnavailable = errors.New("the volume is not available")
	// ErrBusy means that somebody has the file open.
	ErrBusy = errors.New("the file is in use")
)

// Entry is a file or folder.
type Entry struct {
	Name   string
	Folder bool
	// Bytes is what a file takes.
	Bytes    int64
	ReadOnly bool
}

// Files are the files of a host. Paths are absolute and the host's own.
type Files interface {
	// Stat returns what is at a path.
	Stat(path string) (Entry, error)
	// List returns what is in a folder, by name.
	List(folder string) ([]Entry, error)
	// Read returns the content of a file of modest size.
	Read(path string) ([]byte, error)
	// Write makes a file be there with this content, or as it was.
	Write(path string, content []byte) error
	// Open returns the content of a file of any size.
	Open(path string) (io.ReadCloser, error)
	// Append adds to a file that is as long as offset says, and makes it if that is 0.
	Append(path string, offset int64, piece []byte) error
	// MakeFolder makes a folder, and those above it.
	MakeFolder(path string) error
	// Rename moves a file or folder on its volume. What is there already is not replaced.
	Rename(from, to string) error
	// Protect makes a file read-only.
	Protect(path string) error
	// Remove removes a file, or an empty folder.
	Remove(path string) error
}
