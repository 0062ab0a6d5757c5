package hyperv

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// Where things lie on a volume. A path is made of the volume's root and of identities alone, so any node finds
// what another one began, and nothing that a person wrote becomes a path.
const (
	folderName  = "capstan"
	recordName  = "capstan.json"
	seedName    = "seed.iso"
	diskSuffix  = ".vhdx"
	partialName = ".partial"
)

// join puts a path of Windows together, on any machine.
func join(elements ...string) string {
	var out []string
	for _, e := range elements {
		out = append(out, strings.TrimSuffix(e, `\`))
	}
	return strings.Join(out, `\`)
}

func base(path string) string { return path[strings.LastIndex(path, `\`)+1:] }

func samePath(a, b string) bool {
	return strings.EqualFold(strings.TrimSuffix(a, `\`), strings.TrimSuffix(b, `\`))
}

func (v volume) images() string { return join(v.root, folderName, "images") }
func (v volume) vms() string    { return join(v.root, folderName, "vms") }

func (v volume) image(sha256 string) string       { return join(v.images(), sha256+diskSuffix) }
func (v volume) imageRecord(sha256 string) string { return join(v.images(), sha256+".json") }

func (v volume) folder(id hostapi.VMID) string { return join(v.vms(), string(id)) }

func (v volume) disk(id hostapi.VMID, name string) string { return join(v.folder(id), name+diskSuffix) }
func (v volume) seed(id hostapi.VMID) string              { return join(v.folder(id), seedName) }

// contains tells whether a path is on the volume. Volume1 is no part of Volume10.
func (v volume) contains(path string) bool {
	root := strings.ToLower(strings.TrimSuffix(v.root, `\`) + `\`)
	return strings.HasPrefix(strings.ToLower(path), root)
}

// ownFolder is a folder on a drive of the host's own, written out.
var ownFolder = regexp.MustCompile(`^[A-Za-z]:(\\[^\\/:*?"<>|.][^\\/:*?"<>|]*)*\\?$`)

// volumeName is what placement calls a volume.
var volumeName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// ParseVolume reads "name=folder", a volume of a host that stands alone.
func ParseVolume(text string) (name, folder string, err error) {
	name, folder, ok := strings.Cut(text, "=")
	if !ok || !volumeName.MatchString(name) || !ownFolder.MatchString(folder) {
		return "", "", fmt.Errorf(`%q is not of the form name=D:\folder`, text)
	}
	if len(folder) == 2 {
		folder += `\`
	}
	return name, folder, nil
}

// device is a name that Windows takes for a device, whatever follows the next dot.
var device = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`)

// checkNames refuses what hostapi lets pass and Windows does not.
func checkNames(req hostapi.EnsureVMRequest) error {
	if len(req.Disks) > maxDisks {
		return hostapi.Errorf(hostapi.InvalidArgument, opEnsure, "", "VM %s: %d disks, and there is room for %d", req.Stamp.ID, len(req.Disks), maxDisks)
	}
	if device.MatchString(string(req.Stamp.ID)) {
		return hostapi.Errorf(hostapi.InvalidArgument, opEnsure, "", "VM %s: the ID is the name of a device", req.Stamp.ID)
	}
	for _, d := range req.Disks {
		if device.MatchString(d.Name) {
			return hostapi.Errorf(hostapi.InvalidArgument, opEnsure, "", "VM %s: disk %s has the name of a device", req.Stamp.ID, d.Name)
		}
	}
	return nil
}
