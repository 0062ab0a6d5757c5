package seed

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kdomanski/iso9660"
)

// volumeLabel is how cloud-init's NoCloud data source finds its disk.
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
	iso, err := iso9660.OpenImage(bytes.NewReader(data))
	if err != nil {
		return image{}, fmt.Errorf("the disk is not an ISO9660 image: %w", err)
	}
	label, err := iso.Label()
	if err != nil {
		return image{}, fmt.Errorf("read the volume label: %w", err)
	}
	if got := strings.TrimRight(label, " \x00"); !strings.EqualFold(got, volumeLabel) {
		return image{}, fmt.Errorf("the volume label is %q, cloud-init looks for %q", got, volumeLabel)
	}
	files, err := readFiles(iso)
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

func readFiles(iso *iso9660.Image) (map[string][]byte, error) {
	root, err := iso.RootDir()
	if err != nil {
		return nil, fmt.Errorf("read the root directory: %w", err)
	}
	children, err := root.GetChildren()
	if err != nil {
		return nil, fmt.Errorf("read the root directory: %w", err)
	}
	files := map[string][]byte{}
	for _, f := range children {
		if f.IsDir() {
			continue
		}
		if f.Size() > maxFileBytes {
			return nil, fmt.Errorf("%s has %d bytes, more than the %d that are read", f.Name(), f.Size(), maxFileBytes)
		}
		b, err := io.ReadAll(f.Reader())
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		// Without Rock Ridge, Linux shows the names of an ISO9660 volume in lower
		// case.
		files[strings.ToLower(f.Name())] = b
	}
	return files, nil
}
