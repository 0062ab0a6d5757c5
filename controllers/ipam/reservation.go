package ipam

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// NewReservation returns the AddressReservation, of a name that is made from both, of
// something that a claim is to have of a network: an address, or a virtual router ID.
func NewReservation(claim *ipamv1.IPAddressClaim, network, name, held string) *capstanv1.AddressReservation {
	return &capstanv1.AddressReservation{
		ObjectMeta: metav1.ObjectMeta{
			Name:   name,
			Labels: map[string]string{clusterv1.ClusterNameLabel: claim.Spec.ClusterName, capstanv1.ClaimLabel: string(claim.UID)},
		},
		Spec: capstanv1.AddressReservationSpec{
			LogicalNetwork: network, Address: held,
			ClaimRef: capstanv1.ClaimReference{Namespace: claim.Namespace, Name: claim.Name, UID: string(claim.UID)},
			UserRef:  madeFor(claim),
		},
	}
}

// madeFor is who a claim was made for: who controls it.
func madeFor(claim *ipamv1.IPAddressClaim) *capstanv1.UserReference {
	owner := metav1.GetControllerOf(claim)
	if owner == nil {
		return nil
	}
	group, _ := schema.ParseGroupVersion(owner.APIVersion)
	return &capstanv1.UserReference{
		APIGroup: group.Group, Kind: owner.Kind, Name: owner.Name, UID: string(owner.UID), VMID: claim.Labels[capstanv1.VMIDLabel],
	}
}
