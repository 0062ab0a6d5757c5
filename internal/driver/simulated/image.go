package simulated

import (
	"context"
	"path"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// copyPiece is how much of an image is copied by one call: what is lost at most
// when a copy is cut off, and how often its progress is told.
const copyPiece = 256 << 20

// StageImage implements hostapi.Driver. Until it is verified a copy has another
// name, so that it cannot become the parent of a disk.
func (d *Driver) StageImage(ctx context.Context, req hostapi.StageImageRequest) (hostapi.Image, error) {
	const op = "StageImage"
	if err := req.Validate(); err != nil {
		return hostapi.Image{}, err
	}
	ref := imageRef(req.Volume, req.Image.SHA256)
	file, err := d.host.GetFile(ctx, ref)
	switch {
	case err == nil && file.ReadOnly && file.Image != nil:
		return imageOf(file), nil
	case err == nil:
		return hostapi.Image{}, hostapi.Errorf(hostapi.NotOwned, op, req.Volume, "%s is somebody else's", file.FullPath)
	case fabricapi.CodeOf(err) != fabricapi.NotFound:
		return hostapi.Image{}, typed(op, "find image "+req.Image.Name, err)
	}
	copied := fabricapi.FileRef{Volume: ref.Volume, Path: ref.Path + partial}
	if err := d.copyImage(ctx, req, copied); err != nil {
		return hostapi.Image{}, err
	}
	file, err = d.host.MoveFile(ctx, fabricapi.MoveFileRequest{FileRef: copied, To: ref.Path, ReadOnly: true})
	if err != nil {
		return hostapi.Image{}, typed(op, "put image "+req.Image.Name+" in its place", err)
	}
	return imageOf(file), nil
}

// copyImage makes the copy whole and verifies it. One that is wrong is removed.
func (d *Driver) copyImage(ctx context.Context, req hostapi.StageImageRequest, copied fabricapi.FileRef) error {
	const op = "StageImage"
	file, err := d.host.GetFile(ctx, copied)
	if code := fabricapi.CodeOf(err); err != nil && code != fabricapi.NotFound {
		return typed(op, "find the copy of image "+req.Image.Name, err)
	}
	for file.Image == nil || file.FileBytes < file.Image.TotalBytes {
		next, err := d.host.CopyImage(ctx, fabricapi.CopyImageRequest{
			FileRef: copied, Source: req.Source, Label: req.Image.Name, Offset: file.FileBytes, Bytes: copyPiece,
		})
		if fabricapi.CodeOf(err) == fabricapi.InvalidParameter && file.FileBytes > 0 {
			return d.discard(ctx, req, copied, hostapi.Transient, "does not go on where its copy ends")
		}
		if err != nil {
			return typed(op, "copy image "+req.Image.Name+" from "+req.Source, err)
		}
		file = next
		if req.Progress != nil {
			req.Progress(file.FileBytes, file.Image.TotalBytes)
		}
	}
	sum, err := d.host.Checksum(ctx, copied)
	if err != nil {
		return typed(op, "verify image "+req.Image.Name, err)
	}
	if sum != req.Image.SHA256 {
		return d.discard(ctx, req, copied, hostapi.Conflict, "has the checksum "+sum+", not "+req.Image.SHA256)
	}
	return nil
}

// discard removes a copy that can never become the image, and says why.
func (d *Driver) discard(
	ctx context.Context, req hostapi.StageImageRequest, copied fabricapi.FileRef, class hostapi.Class, why string,
) error {
	const op = "StageImage"
	if err := d.host.DeleteFile(ctx, copied); err != nil {
		return typed(op, "remove the copy of image "+req.Image.Name, err)
	}
	return hostapi.Errorf(class, op, req.Source, "image %s: what is at %s %s", req.Image.Name, req.Source, why)
}

func imageOf(f fabricapi.File) hostapi.Image {
	name := path.Base(strings.ReplaceAll(f.Path, `\`, "/"))
	return hostapi.Image{
		ImageRef: hostapi.ImageRef{Name: f.Label, SHA256: strings.TrimSuffix(name, ".vhdx")},
		Volume:   f.Volume, Bytes: f.VirtualBytes,
	}
}
