package machinectr

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// copyPiece is how often the progress of a copy is told.
const copyPiece = 16 << 20

// StageImage implements hostapi.Driver. An image is a squashfs of a root file
// system. Until it is verified its copy has another name, so that it cannot come
// below a disk; a copy that was cut off is made anew.
func (d *Driver) StageImage(ctx context.Context, req hostapi.StageImageRequest) (hostapi.Image, error) {
	const op = "StageImage"
	if err := req.Validate(); err != nil {
		return hostapi.Image{}, err
	}
	doing := "stage image " + req.Image.Name
	if err := ctx.Err(); err != nil {
		return hostapi.Image{}, typed(op, "", doing, err)
	}
	v, err := d.usable(op, req.Volume)
	if err != nil {
		return hostapi.Image{}, err
	}
	have, err := v.stagedImage(req.Image.SHA256)
	if err != nil {
		return hostapi.Image{}, typed(op, v.Name, doing, err)
	}
	if have != nil {
		return *have, nil
	}
	folder := v.image(req.Image.SHA256)
	if _, err := os.Lstat(folder); err == nil {
		return hostapi.Image{}, hostapi.Errorf(hostapi.NotOwned, op, v.Name, "%s: %s is somebody else's", doing, folder)
	}
	part := folder + partial
	steps := []func() error{
		func() error { return errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o700)) },
		func() error { return copyImage(ctx, req, part) },
		func() error { return os.Rename(part, folder) },
	}
	for _, step := range steps {
		if err := d.change(ctx, step); err != nil {
			// It would be made anew, and takes room meanwhile.
			err = errors.Join(err, d.change(context.WithoutCancel(ctx), func() error { return os.RemoveAll(part) }))
			return hostapi.Image{}, typed(op, v.Name, doing, err)
		}
	}
	have, err = v.stagedImage(req.Image.SHA256)
	if err == nil && have == nil {
		err = errors.New("it is gone again")
	}
	if err != nil {
		return hostapi.Image{}, typed(op, v.Name, doing, err)
	}
	return *have, nil
}

// copyImage copies the image with its record into a folder, and verifies it.
func copyImage(ctx context.Context, req hostapi.StageImageRequest, part string) (err error) {
	source, total, err := open(ctx, req.Source)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	if err := checkRoom(part, total); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(part, imageFile), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o400)
	if err != nil {
		return err
	}
	sum := sha256.New()
	done := int64(0)
	for err == nil {
		var n int64
		n, err = io.CopyN(io.MultiWriter(f, sum), source, copyPiece)
		done += n
		if req.Progress != nil && n > 0 {
			req.Progress(done, max(total, done))
		}
		if err == nil {
			err = ctx.Err()
		}
	}
	if errors.Is(err, io.EOF) {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if got := fmt.Sprintf("%x", sum.Sum(nil)); got != req.Image.SHA256 {
		return hostapi.Errorf(hostapi.Conflict, "StageImage", req.Source, "what is at %s has the checksum %s, not %s", req.Source, got, req.Image.SHA256)
	}
	// The least that a disk has above it.
	return putJSON(filepath.Join(part, imageRecord), image{ImageRef: req.Image, Bytes: max(done, minDiskBytes)})
}

// checkRoom refuses an image that the volume has no room for. One of which nobody
// knows the size is copied as far as it goes.
func checkRoom(folder string, size int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(folder, &fs); err != nil {
		return err
	}
	if free := int64(fs.Bavail) * fs.Bsize; size > free {
		return hostapi.Errorf(hostapi.OutOfCapacity, "StageImage", hostapi.ResourceVolume, "it has %d bytes, and the volume has %d free", size, free)
	}
	return nil
}

// open opens a source: a path on this machine, or an address on the web.
func open(ctx context.Context, source string) (io.ReadCloser, int64, error) {
	nothing := func(err error) error {
		return hostapi.Errorf(hostapi.Conflict, "StageImage", source, "nothing can be had at %s: %w", source, err)
	}
	if strings.HasPrefix(source, "https://") || strings.HasPrefix(source, "http://") {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
		if err != nil {
			return nil, 0, nothing(err)
		}
		answer, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, 0, err
		}
		if answer.StatusCode != http.StatusOK {
			err := errors.Join(errors.New(answer.Status), answer.Body.Close())
			if answer.StatusCode >= http.StatusInternalServerError {
				return nil, 0, err
			}
			return nil, 0, nothing(err)
		}
		return answer.Body, answer.ContentLength, nil
	}
	path := strings.TrimPrefix(source, "file://")
	if !filepath.IsAbs(path) {
		return nil, 0, nothing(errors.New("it is neither an absolute path nor an address on the web"))
	}
	// A pipe would be waited for, and a device may do things when it is opened.
	info, err := os.Stat(path)
	if err != nil {
		return nil, 0, nothing(err)
	}
	if !info.Mode().IsRegular() {
		return nil, 0, nothing(errors.New("it is no file"))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, nothing(err)
	}
	return f, info.Size(), nil
}

// stagedImage returns an image that is whole on the volume, or nil.
func (v Volume) stagedImage(sha256 string) (*hostapi.Image, error) {
	record, err := getJSON[image](filepath.Join(v.image(sha256), imageRecord))
	if err != nil || record == nil || record.SHA256 != sha256 {
		return nil, err
	}
	return &hostapi.Image{ImageRef: record.ImageRef, Volume: v.Name, Bytes: record.Bytes}, nil
}

func (v Volume) staged() ([]hostapi.Image, error) {
	folders, err := names(v.images())
	if err != nil {
		return nil, err
	}
	var out []hostapi.Image
	for _, folder := range folders {
		have, err := v.stagedImage(folder)
		if err != nil {
			return nil, err
		}
		if have != nil {
			out = append(out, *have)
		}
	}
	return out, nil
}
