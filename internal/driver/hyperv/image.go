package hyperv

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const opStage = "StageImage"

// Sources are where images come from.
type Sources interface {
	// Open returns the content of a source from an offset on, and how long all of it is. There being nothing is
	// fs.ErrNotExist.
	Open(ctx context.Context, source string, offset int64) (content io.ReadCloser, total int64, err error)
}

// StageImage implements hostapi.Driver. Until it is verified a copy has another name, so that it cannot become the
// parent of a disk.
func (d *Driver) StageImage(ctx context.Context, req hostapi.StageImageRequest) (hostapi.Image, error) {
	if err := req.Validate(); err != nil {
		return hostapi.Image{}, err
	}
	volumes, err := d.volumes(ctx, opStage)
	if err != nil {
		return hostapi.Image{}, err
	}
	v, err := d.usableVolume(opStage, volumes, req.Volume)
	if err != nil {
		return hostapi.Image{}, err
	}
	s := staging{d, req, v}
	path := v.image(req.Image.SHA256)
	record, err := getJSON[imageRecord](d.Files, v.imageRecord(req.Image.SHA256))
	if err != nil {
		return hostapi.Image{}, s.typed("find", err)
	}
	_, err = d.Files.Stat(path)
	switch {
	case err == nil && record != nil:
		return s.image(*record), nil
	case err == nil:
		return hostapi.Image{}, hostapi.Errorf(hostapi.NotOwned, opStage, v.name, "%s is somebody else's", path)
	case !errors.Is(err, fs.ErrNotExist):
		return hostapi.Image{}, s.typed("find", err)
	}
	return s.stage(ctx, path)
}

// staging is one image on its way to one volume.
type staging struct {
	*Driver
	req    hostapi.StageImageRequest
	volume volume
}

func (s staging) typed(doing string, err error) error {
	return typed(opStage, s.volume.name, fmt.Sprintf("%s image %s on volume %s", doing, s.req.Image.Name, s.volume.name), err)
}

func (s staging) image(r imageRecord) hostapi.Image {
	return hostapi.Image{ImageRef: hostapi.ImageRef{Name: r.Name, SHA256: s.req.Image.SHA256}, Volume: s.volume.name, Bytes: r.Bytes}
}

func (s staging) stage(ctx context.Context, path string) (hostapi.Image, error) {
	// Hyper-V goes by the ending of a name, also of a copy's.
	whole := path[:len(path)-len(diskSuffix)] + partialName + diskSuffix
	if err := s.copy(ctx, whole); err != nil {
		return hostapi.Image{}, err
	}
	if err := s.verify(ctx, whole); err != nil {
		return hostapi.Image{}, err
	}
	bytes, err := s.virtualBytes(ctx, whole)
	if err != nil {
		return hostapi.Image{}, err
	}
	record := imageRecord{Name: s.req.Image.Name, Bytes: bytes}
	if err := s.Files.Write(s.volume.imageRecord(s.req.Image.SHA256), []byte(encode(record))); err != nil {
		return hostapi.Image{}, s.typed("write the record of", err)
	}
	if err := s.Files.Protect(whole); err != nil {
		return hostapi.Image{}, s.typed("protect", err)
	}
	if err := s.Files.Rename(whole, path); err != nil {
		return hostapi.Image{}, s.typed("put in its place", err)
	}
	return s.image(record), nil
}

// copy makes the copy whole. It goes on where it was cut off.
func (s staging) copy(ctx context.Context, to string) error {
	if err := s.Files.MakeFolder(s.volume.images()); err != nil {
		return s.typed("make the folder of", err)
	}
	offset := int64(0)
	if have, err := s.Files.Stat(to); err == nil {
		offset = have.Bytes
	} else if !errors.Is(err, fs.ErrNotExist) {
		return s.typed("find the copy of", err)
	}
	content, total, err := s.Sources.Open(ctx, s.req.Source, offset)
	if errors.Is(err, fs.ErrNotExist) {
		return hostapi.Errorf(hostapi.Conflict, opStage, s.req.Source, "image %s: there is nothing at %s", s.req.Image.Name, s.req.Source)
	}
	if err != nil {
		return s.typed("open the source of", err)
	}
	defer content.Close()
	if offset > total {
		return s.discard(to, hostapi.Transient, "is shorter than its copy")
	}
	piece := make([]byte, s.Piece)
	for offset < total {
		if err := ctx.Err(); err != nil {
			return s.typed("copy", err)
		}
		n, err := io.ReadFull(content, piece[:min(int64(len(piece)), total-offset)])
		if err != nil {
			return s.typed("copy", fmt.Errorf("read %s: %w", s.req.Source, err))
		}
		if err := s.Files.Append(to, offset, piece[:n]); err != nil {
			return s.typed("copy", err)
		}
		offset += int64(n)
		if s.req.Progress != nil {
			s.req.Progress(offset, total)
		}
	}
	return nil
}

func (s staging) verify(ctx context.Context, copied string) error {
	content, err := s.Files.Open(copied)
	if err != nil {
		return s.typed("read the copy of", err)
	}
	defer content.Close()
	sum := sha256.New()
	for {
		if err := ctx.Err(); err != nil {
			return s.typed("verify", err)
		}
		if _, err := io.CopyN(sum, content, int64(s.Piece)); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return s.typed("verify", err)
		}
	}
	if have := hex.EncodeToString(sum.Sum(nil)); have != s.req.Image.SHA256 {
		return s.discard(copied, hostapi.Conflict, "has the checksum "+have+", not "+s.req.Image.SHA256)
	}
	return nil
}

// virtualBytes is the size of the disk in the image. What is no disk is no image.
func (s staging) virtualBytes(ctx context.Context, path string) (int64, error) {
	own, err := s.node(ctx, s.Host)
	if err != nil {
		return 0, s.typed("measure", err)
	}
	bytes, err := own.virtualBytes(ctx, path)
	var refusal *wmi.Refusal
	if errors.As(err, &refusal) && refusal.Cause != wmi.CauseSharing {
		return 0, s.discard(path, hostapi.Conflict, "is no virtual disk: "+err.Error())
	}
	return bytes, s.typed("measure", err)
}

// discard removes a copy that can never become the image, and says why.
func (s staging) discard(path string, class hostapi.Class, why string) error {
	if err := s.Files.Remove(path); err != nil {
		return s.typed("remove the copy of", err)
	}
	return hostapi.Errorf(class, opStage, s.req.Source, "image %s: what is at %s %s", s.req.Image.Name, s.req.Source, why)
}
