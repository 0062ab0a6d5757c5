package seed

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// volumeLabel is how the NoCloud data source finds its disk.
const volumeLabel = "cidata"

// maxFileBytes bounds what is read of one file of the image.
const maxFileBytes = 8 << 20

// image is the content of a NoCloud disk.
type image struct {
	userData, metaData, networkConfig []byte
}

// readImage returns the files of a NoCloud disk. The image is what the outside
// world handed in, so a malformed one must not take the whole fabric down.
func readImage(data []byte) (img image, err error) {
	defer func() {
		if r := recover(); r != nil {
			img, err = image{}, fmt.Errorf("the disk is not a readable ISO9660 image: %v", r)
		}
	}()
	disk, err := iso9660.Read(file.New(&memory{Reader: bytes.NewReader(data), size: int64(len(data))}, true), int64(len(data)), 0, 0)
	if err != nil {
		return image{}, fmt.Errorf("the disk is not an ISO9660 image: %w", err)
	}
	if got := strings.TrimRight(disk.Label(), " \x00"); !strings.EqualFold(got, volumeLabel) {
		return image{}, fmt.Errorf("the volume label is %q, must be %q", got, volumeLabel)
	}
	files, err := readFiles(disk)
	if err != nil {
		return image{}, err
	}
	var missing []error
	for _, name := range []string{"meta-data", "user-data", "network-config"} {
		if _, ok := files[name]; !ok {
			missing = append(missing, fmt.Errorf("the disk has no %s", name))
		}
	}
	if err := errors.Join(missing...); err != nil {
		return image{}, err
	}
	return image{userData: files["user-data"], metaData: files["meta-data"], networkConfig: files["network-config"]}, nil
}

func readFiles(disk *iso9660.FileSystem) (map[string][]byte, error) {
	entries, err := disk.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("read the root directory: %w", err)
	}
	files := map[string][]byte{}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		info, err := entry.Info()
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", entry.Name(), err)
		}
		if info.Size() > maxFileBytes {
			return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read", entry.Name(), info.Size(), maxFileBytes)
		}
		content, err := disk.ReadFile(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", entry.Name(), err)
		}
		// Without Rock Ridge, Linux shows the names of an ISO9660 volume in lower
		// case.
		files[strings.ToLower(entry.Name())] = content
	}
	return files, nil
}

// memory is an image in memory, in the form the library reads.
type memory struct {
	*bytes.Reader
	size int64
}

// Stat implements fs.File.
func (m *memory) Stat() (fs.FileInfo, error) { return m, nil }

// Close implements fs.File.
func (m *memory) Close() error { return nil }

// Name implements fs.FileInfo, as the methods below do.
func (m *memory) Name() string { return volumeLabel }

// Size is the size of the image.
func (m *memory) Size() int64 { return m.size }

// Mode is that of a file nobody writes to.
func (m *memory) Mode() fs.FileMode { return 0o400 }

// ModTime is not known.
func (m *memory) ModTime() time.Time { return time.Time{} }

// IsDir tells that it is a file.
func (m *memory) IsDir() bool { return false }

// Sys has nothing to tell.
func (m *memory) Sys() any { return nil }
