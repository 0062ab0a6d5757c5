package hostapi

import (
	"crypto/sha256"
	"fmt"
)

// MACAddress returns the static address of NIC index of a VM: unicast, locally
// administered, derived from the identity alone so that a VM that is made again
// has it again.
func MACAddress(id VMID, index int) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s/%d", id, index))
	return fmt.Sprintf("02:%02x:%02x:%02x:%02x:%02x", sum[0], sum[1], sum[2], sum[3], sum[4])
}
