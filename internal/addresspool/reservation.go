package addresspool

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ReservationName is the name of the AddressReservation of an address. It holds
// the network, so that equal addresses in two separate networks do not collide.
func ReservationName(network string, a netip.Addr) string {
	return network + "-" + strings.ReplaceAll(a.String(), ":", "-")
}

// virtualRouter tells a virtual router ID from an address.
const virtualRouter = "vrid/"

// VirtualRouter is what a reservation holds in place of an address that is for a
// virtual router ID. One ID is as much a property of the network as an address is.
func VirtualRouter(id int32) string { return virtualRouter + strconv.Itoa(int(id)) }

// ParseVirtualRouter returns the virtual router ID that a reservation holds, if it is
// for one.
func ParseVirtualRouter(held string) (id int32, ok bool) {
	digits, ok := strings.CutPrefix(held, virtualRouter)
	parsed, err := strconv.ParseInt(digits, 10, 32)
	return int32(parsed), ok && err == nil
}

// VirtualRouterReservationName is the name of the AddressReservation of a virtual router
// ID.
func VirtualRouterReservationName(network string, id int32) string {
	return fmt.Sprintf("%s-vrid-%d", network, id)
}

// ReservationNameOf is the name of the AddressReservation of whatever it holds, an
// address or a virtual router ID.
func ReservationNameOf(network, held string) (string, error) {
	if id, ok := ParseVirtualRouter(held); ok {
		return VirtualRouterReservationName(network, id), nil
	}
	address, err := netip.ParseAddr(held)
	if err != nil {
		return "", fmt.Errorf("reading what is reserved in LogicalNetwork %s: %w", network, err)
	}
	return ReservationName(network, address), nil
}
