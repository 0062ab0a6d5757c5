package hyperv

import (
	"slices"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// What a VHDX can be.
const (
	// sector is what its size is a multiple of.
	sector    = 4096
	leastDisk = 3 << 20
	mostDisk  = 64 << 40
)

// sized is a request with sizes that Hyper-V can give. A disk of part of a sector is a whole one larger: who asks for 10.5G means at
// least that.
func sized(req hostapi.EnsureVMRequest) (hostapi.EnsureVMRequest, error) {
	req.Disks = slices.Clone(req.Disks)
	for i := range req.Disks {
		d := &req.Disks[i]
		if d.Bytes > mostDisk || (d.Image == nil && d.Bytes < leastDisk) {
			return req, hostapi.Errorf(hostapi.InvalidArgument, opEnsure, "", "VM %s: disk %s has %d bytes: Hyper-V's disks have %d to %d",
				req.Stamp.ID, d.Name, d.Bytes, leastDisk, int64(mostDisk))
		}
		d.Bytes = (d.Bytes + sector - 1) / sector * sector
	}
	return req, nil
}
