package iso9660

import (
	"bytes"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// Contents is what an image holds.
type Contents struct {
	Label string
	// Files are those in the root directory, by their names as the image has them:
	// without Rock Ridge in upper case, which Linux shows in lower case.
	Files map[string][]byte
	// TooLarge are the sizes in bytes of those that were not read.
	TooLarge map[string]int64
}

// Read returns what an image holds, but for files of more than most bytes and for
// what is below the root directory. An image that somebody handed in may be
// malformed in any way: it is an error, and never a panic.
func Read(image []byte, most int64) (c Contents, err error) {
	defer func() {
		if r := recover(); r != nil {
			c, err = Contents{}, fmt.Errorf("read an image of ISO 9660: %v", r)
		}
	}()
	disc, err := iso9660.Read(file.New(&memory{Reader: bytes.NewReader(image)}, true), int64(len(image)), 0, 0)
	if err != nil {
		return Contents{}, fmt.Errorf("read an image of ISO 9660: %w", err)
	}
	entries, err := disc.ReadDir(".")
	if err != nil {
		return Contents{}, fmt.Errorf("read the root directory of an image: %w", err)
	}
	c = Contents{Label: strings.TrimRight(disc.Label(), " \x00"), Files: map[string][]byte{}, TooLarge: map[string]int64{}}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return Contents{}, fmt.Errorf("read what an image says of %s: %w", entry.Name(), err)
		}
		if info.Size() > most {
			c.TooLarge[entry.Name()] = info.Size()
			continue
		}
		if c.Files[entry.Name()], err = disc.ReadFile(entry.Name()); err != nil {
			return Contents{}, fmt.Errorf("read %s of an image: %w", entry.Name(), err)
		}
	}
	return c, nil
}

// memory is an image in memory, in the form that the library reads.
type memory struct{ *bytes.Reader }

// Stat implements fs.File.
func (m *memory) Stat() (fs.FileInfo, error) { return m, nil }

// Close implements fs.File.
func (m *memory) Close() error { return nil }

// Name implements fs.FileInfo, as the methods below and Size do.
func (m *memory) Name() string { return "image" }

// Mode is that of a file nobody writes to.
func (m *memory) Mode() fs.FileMode { return 0o400 }

// ModTime is not known.
func (m *memory) ModTime() time.Time { return time.Time{} }

// IsDir tells that it is a file.
func (m *memory) IsDir() bool { return false }

// Sys has nothing to tell.
func (m *memory) Sys() any { return nil }
