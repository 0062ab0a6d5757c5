package hyperv

import (
	"encoding/json"
	"errors"
	"io/fs"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// notes are what a VM's configuration says of it, from the call on that defines it: whose it is, and what belongs to
// it, so that one that is not whole can be told from one that is.
type notes struct {
	Stamp hostapi.Stamp `json:"capstan"`
	Name  string        `json:"name"`
	Owner string        `json:"owner,omitempty"`
	OS    hostapi.OS    `json:"os,omitempty"`
	Disks []string      `json:"disks"`
	NICs  []hostapi.NIC `json:"nics"`
}

// folderRecord is what lies in a VM's folder on a volume, before anything else does.
type folderRecord struct {
	Stamp hostapi.Stamp         `json:"capstan"`
	Disks map[string]diskRecord `json:"disks,omitempty"`
}

// diskRecord is what a disk was made as. It is written before the disk is made, and after it has grown.
type diskRecord struct {
	Bytes int64 `json:"bytes"`
	// Image is the checksum of the disk's parent.
	Image string `json:"image,omitempty"`
}

// imageRecord is what lies beside an image.
type imageRecord struct {
	Name  string `json:"name"`
	Bytes int64  `json:"bytes"`
}

// readNotes returns false for notes that are not ours, or that somebody rewrote.
func readNotes(lines []string) (n notes, ours bool) {
	for _, line := range lines {
		if json.Unmarshal([]byte(line), &n) == nil && n.Stamp.ID != "" && n.Stamp.Installation != "" {
			return n, true
		}
	}
	return notes{}, false
}

func encode(v any) string {
	text, _ := json.Marshal(v) // strings and numbers cannot fail to be encoded
	return string(text)
}

// getJSON reads a record, nil if there is none. Ours are whole, so one that cannot be read is somebody else's.
func getJSON[T any](files hostfs.Files, path string) (*T, error) {
	content, err := files.Read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // no record is an answer
	}
	if err != nil {
		return nil, err
	}
	var v T
	if json.Unmarshal(content, &v) != nil {
		return nil, nil //nolint:nilnil,nilerr // the same
	}
	return &v, nil
}
