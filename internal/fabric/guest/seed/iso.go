package seed

import (
	"errors"
	"fmt"
	"strings"

	"github.com/capstan-k8s/capstan/internal/bootstrap/iso9660"
)

// volumeLabel is how the NoCloud data source finds its disk.
const volumeLabel = "cidata"

// maxFileBytes bounds what is read of one file of the image.
const maxFileBytes = 8 << 20

// image is the content of a NoCloud disk.
type image struct {
	userData, metaData, networkConfig []byte
}

// readImage returns the files of a NoCloud disk.
func readImage(data []byte) (image, error) {
	disk, err := iso9660.Read(data, maxFileBytes)
	if err != nil {
		return image{}, err
	}
	if !strings.EqualFold(disk.Label, volumeLabel) {
		return image{}, fmt.Errorf("the volume label is %q, must be %q", disk.Label, volumeLabel)
	}
	for name, size := range disk.TooLarge {
		return image{}, fmt.Errorf("%s has %d bytes, more than the %d that are read", name, size, maxFileBytes)
	}
	files := map[string][]byte{}
	for name, content := range disk.Files {
		// Without Rock Ridge, Linux shows the names of an ISO9660 volume in lower case.
		files[strings.ToLower(name)] = content
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
