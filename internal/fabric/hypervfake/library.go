package hypervfake

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmiremote"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// library is the images that are published, by their sources. All that is in the file of an
// image is its source, which is what the checksums of simulated images are made of: a driver
// that copies and verifies it has the checksum that manifests name.
type library map[string]fabricapi.PublishedImage

var _ wmiremote.Sources = library{}

func newLibrary(images []fabricapi.PublishedImage) (library, error) {
	l := library{}
	for _, image := range images {
		if sum := fmt.Sprintf("%x", sha256.Sum256([]byte(image.Source))); sum != image.SHA256 {
			return nil, fmt.Errorf("image %s: its checksum with a fake Hyper-V is that of its source, %s", image.Source, sum)
		}
		l[image.Source] = image
	}
	return l, nil
}

// Open implements wmiremote.Sources.
func (l library) Open(_ context.Context, source string, offset int64) (io.ReadCloser, int64, error) {
	if _, ok := l[source]; !ok {
		return nil, 0, fmt.Errorf("nothing is published at %s: %w", source, fs.ErrNotExist)
	}
	content := []byte(source)
	return io.NopCloser(bytes.NewReader(content[min(offset, int64(len(content))):])), int64(len(content)), nil
}

// image returns the image that a file is a copy of.
func (l library) image(content []byte) (fabricapi.PublishedImage, bool) {
	image, ok := l[string(content)]
	return image, ok
}

// measure tells how large the virtual disk in a file is, 0 for none.
func (l library) measure(content []byte) int64 { return l[string(content)].VirtualBytes }
