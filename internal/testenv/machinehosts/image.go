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
}

// FindImage finds what `make image` made last in this folder. The path is that of the
// file itself: one that is made meanwhile has another.
func FindImage(folder string) (Image, error) {
	path, err := filepath.EvalSymlinks(filepath.Join(folder, "node.squashfs"))
	if err != nil {
		return Image{}, fmt.Errorf("finding the node image in %s, which make image makes: %w", folder, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return Image{}, fmt.Errorf("finding the node image: %w", err)
	}
	line, err := os.ReadFile(path + ".sha256")
	if err != nil {
		return Image{}, fmt.Errorf("reading the checksum of the node image: %w", err)
	}
	sum, _, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
	return Image{Path: path, SHA256: sum}, nil
}

// WriteManifests copies manifests in which a VMImage stands for the node image, and
// sets its source and checksum there.
func (i Image) WriteManifests(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return fmt.Errorf("making the folder of the manifests: %w", err)
	}
	files, err := filepath.Glob(filepath.Join(from, "*.yaml"))
	if err != nil || len(files) == 0 {
		return errors.Join(fmt.Errorf("there are no manifests in %s", from), err)
	}
	set := strings.NewReplacer(unsetSource, i.Path, unsetChecksum, i.SHA256)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("copying the manifests: %w", err)
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(file)), []byte(set.Replace(string(text))), 0o600); err != nil {
			return fmt.Errorf("copying the manifests: %w", err)
		}
	}
	return nil
}

// What manifests have in place of an image.
const unsetSource = "/path/to/node.squashfs"

var unsetChecksum = strings.Repeat("0", 64)

// ForRepository returns hosts in a folder below dir, for guests of the node image that
// was made at the top of the repository, and the folder of manifests for that image.
func ForRepository(top, binaries, dir string) (hosts *Hosts, manifests string, err error) {
	for _, folder := range []*string{&top, &binaries, &dir} {
		if *folder, err = filepath.Abs(*folder); err != nil {
			return nil, "", fmt.Errorf("finding folder %s: %w", *folder, err)
		}
	}
	made := filepath.Join(top, ".cache", "image")
	inUse, err := useImages(made)
	if err != nil {
		return nil, "", err
	}
	image, err := FindImage(made)
	if err != nil {
		return nil, "", errors.Join(err, inUse.Close())
	}
	manifests = filepath.Join(dir, "manifests")
	if err := image.WriteManifests(filepath.Join(top, "images", "machinectr", "samples"), manifests); err != nil {
		return nil, "", errors.Join(err, inUse.Close())
	}
	hosts = New(Options{
		Image: image, Dir: filepath.Join(dir, "machines"), Layer: filepath.Join(top, "images", "machinectr", "files"),
		Programs: []string{filepath.Join(binaries, "web")},
	})
	hosts.inUse = inUse
	return hosts, manifests, nil
}

// useImages has make image wait, which removes the image before the one it makes.
func useImages(folder string) (*os.File, error) {
	lock, err := os.Open(filepath.Join(folder, ".lock"))
	if err != nil {
		return nil, fmt.Errorf("using the node image, which make image makes: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_SH|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("a node image is being made in %s: try again when it is there", folder), lock.Close())
	}
	return lock, nil
}
