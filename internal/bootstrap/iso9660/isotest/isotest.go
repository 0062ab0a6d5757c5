// Package isotest reads small ISO 9660 images back, for tests.
package isotest

import (
	"fmt"
	"os"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// Read returns the label of an image and the files in its root directory.
func Read(image []byte) (label string, files map[string][]byte, err error) {
	f, err := os.CreateTemp("", "isotest-")
	if err != nil {
		return "", nil, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if _, err := f.Write(image); err != nil {
		return "", nil, err
	}
	fs, err := iso9660.Read(file.New(f, true), int64(len(image)), 0, 0)
	if err != nil {
		return "", nil, fmt.Errorf("reading the image: %w", err)
	}
	entries, err := fs.ReadDir(".")
	if err != nil {
		return "", nil, fmt.Errorf("reading the root directory: %w", err)
	}
	files = map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = fs.ReadFile(e.Name()); err != nil {
			return "", nil, fmt.Errorf("reading %s: %w", e.Name(), err)
		}
	}
	return strings.TrimRight(fs.Label(), " "), files, nil
}
