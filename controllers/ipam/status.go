package ipam

import (
	"errors"

	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

func setStatus(claim *ipamv1.IPAddressClaim, address *ipamv1.IPAddress, err error) {
	if err != nil {
		conditions.Failed(claim, capstanv1.ReadyCondition, reasonOf(err), err)
		return
	}
	claim.Status.AddressRef.Name = address.Name
	conditions.True(claim, capstanv1.ReadyCondition, capstanv1.ReasonAllocated, "%s", address.Spec.Address)
}

// reasonOf uses the contract's own reason for a full pool, which tools know.
func reasonOf(err error) string {
	var missing *networkMissingError
	var full *fullError
	var invalid *invalidPoolError
	var shared *sharedError
	var outOfRange *outOfRangeError
	var taken *takenError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &missing):
		return capstanv1.ReasonLogicalNetworkNotFound
	case errors.As(err, &full):
		return ipamv1.IPAddressClaimReadyPoolExhaustedReason
	case errors.As(err, &invalid):
		return capstanv1.ReasonInvalidSpec
	case errors.As(err, &outOfRange):
		return capstanv1.ReasonAddressOutOfRange
	case errors.As(err, &taken):
		return capstanv1.ReasonAddressTaken
	case errors.As(err, &shared):
		return capstanv1.ReasonConflict
	default:
		return capstanv1.ReasonInternalError
	}
}
