package fabric

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

func (w *World) publish(t *tx, image fabricapi.PublishedImage) {
	w.images[image.Source] = image
	t.Put(kindImage, image.Source, image)
}

// CopyImage appends a piece of a published image to a file. The file is open
// for nobody else meanwhile, and keeps what was copied when the call was cut
// off.
func (h *Host) CopyImage(ctx context.Context, req fabricapi.CopyImageRequest) (fabricapi.File, error) {
	var bytes int64
	var content fabricapi.PublishedImage
	key := fileKey(h.site, req.FileRef)
	if err := h.read(func() (err error) {
		content, bytes, err = h.openCopy(req)
		if err == nil {
			h.w.copying[key] = true
		}
		return err
	}); err != nil {
		return fabricapi.File{}, err
	}
	bytes, cut := h.transfer(ctx, bytes)
	var out fabricapi.File
	err := h.w.update(func(t *tx) error {
		delete(h.w.copying, key)
		if err := h.available(); err != nil {
			return err
		}
		v, err := h.volume(req.Volume)
		if err != nil {
			return err
		}
		if err := v.checkFree(bytes); err != nil {
			return err
		}
		file := v.files[req.Path]
		if file == nil && bytes == 0 {
			return nil
		}
		if file == nil {
			file = &fabricapi.File{
				FileRef: req.FileRef, ID: h.w.NewID(), Kind: fabricapi.VHDX, FullPath: v.fullPath(req.Path), Label: req.Label,
				Image: imageInfo(content),
			}
		}
		appendContent(file, content, bytes)
		v.add(t, *file)
		out = *file
		return nil
	})
	if err == nil && cut != nil {
		err = fmt.Errorf("copy %s: %w", req.Source, cut)
	}
	return out, err
}

// openCopy checks a copy before it begins and returns how much there is to do.
func (h *Host) openCopy(req fabricapi.CopyImageRequest) (fabricapi.PublishedImage, int64, error) {
	content, ok := h.w.images[req.Source]
	refuse := func(code fabricapi.Code, object, format string, args ...any) (fabricapi.PublishedImage, int64, error) {
		return content, 0, fabricapi.Refuse(code, object, format, args...)
	}
	if !ok {
		return refuse(fabricapi.UnknownSource, req.Source, "nothing is published at %s", req.Source)
	}
	if req.Offset < 0 || req.Bytes < 1 || req.Offset >= content.FileBytes {
		return refuse(fabricapi.InvalidParameter, req.Source, "there are no %d bytes at %d in %s", req.Bytes, req.Offset, req.Source)
	}
	bytes := min(req.Bytes, content.FileBytes-req.Offset)
	if h.w.copying[fileKey(h.site, req.FileRef)] {
		return refuse(fabricapi.Busy, req.Path, "%s is being copied", req.Path)
	}
	if req.Offset == 0 {
		_, err := h.place(req.FileRef, content.FileBytes)
		return content, bytes, err
	}
	file, err := h.file(req.FileRef)
	if err != nil {
		return content, 0, err
	}
	if file.ReadOnly || file.Image == nil || file.FileBytes != req.Offset {
		return refuse(fabricapi.InvalidParameter, req.Path, "%s does not end at %d", file.FullPath, req.Offset)
	}
	return content, bytes, h.site.volumes[req.Volume].checkFree(content.FileBytes - req.Offset)
}

// transfer takes the time that a copy takes and returns how much was copied,
// and why not all.
func (h *Host) transfer(ctx context.Context, bytes int64) (int64, error) {
	rate := h.w.CopyBytesPerSecond
	if rate <= 0 {
		return bytes, nil
	}
	began := h.w.Clock.Now()
	timer := h.w.Clock.NewTimer(time.Duration(float64(bytes) / float64(rate) * float64(time.Second)))
	defer timer.Stop()
	var cut error
	select {
	case <-timer.C():
		return bytes, nil
	case <-ctx.Done():
		cut = ctx.Err()
	case <-h.w.done:
		cut = errClosed
	}
	return min(bytes, int64(h.w.Clock.Since(began).Seconds()*float64(rate))), cut
}

func imageInfo(content fabricapi.PublishedImage) *fabricapi.ImageInfo {
	return &fabricapi.ImageInfo{
		Of: content.SHA256, TotalBytes: content.FileBytes, VirtualBytes: content.VirtualBytes,
		OS: content.OS, KubernetesVersion: content.KubernetesVersion, Fault: content.Fault,
	}
}

// appendContent adds a piece to a copy. Pieces of different sources make
// something that is neither.
func appendContent(file *fabricapi.File, content fabricapi.PublishedImage, bytes int64) {
	if file.Image.Of != content.SHA256 {
		file.Image.Of = fmt.Sprintf("%x", sha256.Sum256([]byte(file.Image.Of+content.SHA256)))
	}
	file.FileBytes += bytes
	if file.FileBytes >= file.Image.TotalBytes {
		file.VirtualBytes = file.Image.VirtualBytes
	}
}

// Checksum reads a file.
func (h *Host) Checksum(_ context.Context, ref fabricapi.FileRef) (out fabricapi.ChecksumResponse, err error) {
	err = h.read(func() error {
		file, err := h.file(ref)
		switch {
		case err != nil:
			return err
		case h.w.copying[fileKey(h.site, ref)]:
			return fabricapi.Refuse(fabricapi.Busy, ref.Path, "%s is being copied", file.FullPath)
		case file.Image == nil:
			out.SHA256 = fmt.Sprintf("%x", sha256.Sum256([]byte(file.ID+file.Checksum)))
		case file.FileBytes < file.Image.TotalBytes:
			out.SHA256 = fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "%s/%d", file.Image.Of, file.FileBytes)))
		default:
			out.SHA256 = file.Image.Of
		}
		if file.Kind == fabricapi.ISO {
			out.SHA256 = file.Checksum
		}
		return nil
	})
	return out, err
}
