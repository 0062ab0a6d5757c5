package machinehosts

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Image is a node image as a squashfs, which is what guests boot.
type Image struct {
	Path, SHA256 string

	// inUse has make image wait, which removes the image before the one it makes.
	inUse *os.File
}

// UseImage returns what make image made last in this folder, which stays there as long
// as the program runs. The path is that of the file itself.
func UseImage(folder string) (Image, error) {
	lock, err := os.Open(filepath.Join(folder, ".lock"))
	if err != nil {
		return Image{}, fmt.Errorf("using the node image, which make image makes: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return Image{}, errors.Join(fmt.Errorf("a node image is being made in %s: try again when it is there", folder), lock.Close())
	}
	path, err := filepath.EvalSymlinks(filepath.Join(folder, "node.squashfs"))
	if err != nil {
		return Image{}, errors.Join(fmt.Errorf("finding the node image in %s, which make image makes: %w", folder, err), lock.Close())
	}
	line, err := os.ReadFile(path + ".sha256")
	if err != nil {
		return Image{}, errors.Join(fmt.Errorf("reading the checksum of the node image: %w", err), lock.Close())
	}
	sum, _, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	return Image{Path: path, SHA256: sum, inUse: lock}, nil
}
