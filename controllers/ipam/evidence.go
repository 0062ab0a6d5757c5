package ipam

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts;virtualmachines;loadbalancers;tombstones,verbs=get;list;watch
// +kubebuilder:rbac:groups=infrastructure.cluster.x-k8s.io,resources=hypervmachines,verbs=get;list;watch

// Kinds that addresses are held for.
const (
	kindVirtualMachine = "VirtualMachine"
	kindLoadBalancer   = "LoadBalancer"
)

// Names of claims: those of who makes them, and an end.
var (
	claimOfVM       = regexp.MustCompile(`^(.+)-[0-9]+$`)
	claimOfBalancer = regexp.MustCompile(`^(.+)-vip(-[0-9a-f]{20})?$`)
)

// evidence is what the API server knows of those who may use an address.
type evidence struct {
	tombstones capstanv1.TombstoneList
	vms        capstanv1.VirtualMachineList
	machines   infrav1.HyperVMachineList
	balancers  capstanv1.LoadBalancerList
	// installation is what VMs of this management cluster are stamped with.
	installation string
	// ids are those of all VMs that there is an object for, once somebody asked.
	ids map[hostapi.VMID]bool
}

// readEvidence reads all of it. It must not be changed: it may be the cache's own.
func readEvidence(ctx context.Context, reader client.Reader) (*evidence, error) {
	e := &evidence{}
	for _, list := range []client.ObjectList{&e.tombstones, &e.vms, &e.machines, &e.balancers} {
		if err := reader.List(ctx, list, &client.ListOptions{UnsafeDisableDeepCopy: ptr.To(true)}); err != nil {
			return nil, fmt.Errorf("listing %T to find who may use an address: %w", list, err)
		}
	}
	return e, nil
}

// tombstoneOf returns the Tombstone that keeps what is reserved, or nil: one that names it,
// or that is of the VM that it was for. A claim that went by force before the Tombstone was
// written is not named there.
func (e *evidence) tombstoneOf(reservation *capstanv1.AddressReservation) *capstanv1.Tombstone {
	held := capstanv1.ReservedAddress{LogicalNetwork: reservation.Spec.LogicalNetwork, Address: reservation.Spec.Address}
	for i := range e.tombstones.Items {
		t := &e.tombstones.Items[i]
		if t.Holds(held) || !t.IsHonoured() && isOf(&reservation.Spec, t.Spec.ID, t.Spec.VMRef.Namespace, t.Spec.VMRef.Name) {
			return t
		}
	}
	return nil
}

// userOf names who is there that something is reserved for, or that says that it has it,
// "" if nobody is.
func (e *evidence) userOf(spec *capstanv1.AddressReservationSpec) string {
	for i := range e.balancers.Items {
		if lb := &e.balancers.Items[i]; isFor(spec, kindLoadBalancer, lb) || carries(lb, spec) {
			return "LoadBalancer " + client.ObjectKeyFromObject(lb).String()
		}
	}
	for i := range e.vms.Items {
		vm := &e.vms.Items[i]
		if isFor(spec, kindVirtualMachine, vm) || isVM(spec, vm.Spec.ID) || has(vm, spec) || isInstanceFor(vm, spec) {
			return "VirtualMachine " + client.ObjectKeyFromObject(vm).String()
		}
	}
	for i := range e.machines.Items {
		// Its VirtualMachine was deleted, and its VM is a machine all the same.
		m := &e.machines.Items[i]
		if isVM(spec, string(m.UID)) || isVM(spec, strings.TrimPrefix(m.Spec.ProviderID, capstanv1.ProviderIDScheme)) {
			return "HyperVMachine " + client.ObjectKeyFromObject(m).String()
		}
	}
	return ""
}

// foreignUser names who something is reserved for if that is nobody of ours, else it is "".
// Whatever speaks Cluster API's IPAM contract may claim an address, and neither the API
// server nor hosts tell us whether that is still there.
func foreignUser(spec *capstanv1.AddressReservationSpec) string {
	user := spec.UserRef
	if user == nil {
		if nameOfUser(spec, kindVirtualMachine) != "" || nameOfUser(spec, kindLoadBalancer) != "" {
			return ""
		}
		return "whoever made IPAddressClaim " + spec.ClaimRef.Namespace + "/" + spec.ClaimRef.Name
	}
	ours := user.APIGroup == "" || user.APIGroup == capstanv1.GroupVersion.Group
	if ours && (user.Kind == kindVirtualMachine || user.Kind == kindLoadBalancer) {
		return ""
	}
	return fmt.Sprintf("%s %s/%s of %s", user.Kind, spec.ClaimRef.Namespace, user.Name, cmp.Or(user.APIGroup, "the core API group"))
}

// isFor tells whether something is reserved for an object: for the very one, or as far as
// the claim's name tells where nobody wrote down whom it was for.
func isFor(spec *capstanv1.AddressReservationSpec, kind string, obj client.Object) bool {
	if obj.GetNamespace() != spec.ClaimRef.Namespace {
		return false
	}
	if user := spec.UserRef; user != nil {
		return user.Kind == kind && user.UID == string(obj.GetUID())
	}
	return nameOfUser(spec, kind) == obj.GetName()
}

// nameOfUser is what the claim's name tells of the object of a kind that it was made for,
// "" if it was not made for one.
func nameOfUser(spec *capstanv1.AddressReservationSpec, kind string) string {
	names := claimOfVM
	if kind == kindLoadBalancer {
		names = claimOfBalancer
	}
	if match := names.FindStringSubmatch(spec.ClaimRef.Name); match != nil {
		return match[1]
	}
	return ""
}

// isVM tells whether something is reserved for the VM of an ID.
func isVM(spec *capstanv1.AddressReservationSpec, id string) bool {
	return spec.UserRef != nil && spec.UserRef.VMID != "" && spec.UserRef.VMID == id
}

// has tells whether a VM says that it has an address.
func has(vm *capstanv1.VirtualMachine, spec *capstanv1.AddressReservationSpec) bool {
	return slices.Contains(vm.Status.Addresses, spec.Address) &&
		slices.ContainsFunc(vm.Spec.Networks, func(n capstanv1.VMNetwork) bool { return n.LogicalNetwork == spec.LogicalNetwork })
}

// isInstanceFor tells whether a VM is one of the load balancer that something is reserved
// for, which may be gone while its VMs are not.
func isInstanceFor(vm *capstanv1.VirtualMachine, spec *capstanv1.AddressReservationSpec) bool {
	owner := metav1.GetControllerOf(vm)
	return spec.UserRef != nil && owner != nil && owner.Kind == kindLoadBalancer && string(owner.UID) == spec.UserRef.UID
}

// carries tells whether a load balancer says that it has an address, or a virtual router ID.
func carries(lb *capstanv1.LoadBalancer, spec *capstanv1.AddressReservationSpec) bool {
	if lb.Spec.LogicalNetwork != spec.LogicalNetwork {
		return false
	}
	if id, ok := addresspool.ParseVirtualRouter(spec.Address); ok {
		return lb.Status.VRID == id
	}
	return slices.Contains(lb.Status.VIPs, spec.Address) ||
		slices.ContainsFunc(lb.Spec.Services, func(s capstanv1.LoadBalancerService) bool { return s.VIP == spec.Address })
}

// isOf tells whether something is reserved for a VM that is known by its ID and by what its
// object was called: the VM itself, or one of a load balancer. Where nobody wrote down whom
// it was for, the claim's name tells.
func isOf(spec *capstanv1.AddressReservationSpec, id, namespace, name string) bool {
	user := spec.UserRef
	switch {
	case isVM(spec, id):
		return true
	case namespace != spec.ClaimRef.Namespace:
		return false
	case user == nil:
		return nameOfUser(spec, kindVirtualMachine) == name || isInstanceOf(nameOfUser(spec, kindLoadBalancer), name)
	case user.Kind == kindLoadBalancer:
		return isInstanceOf(user.Name, name)
	default:
		return user.Name == name
	}
}

// isInstanceOf tells whether a VM is one of a load balancer, by their names. Of the random
// end of the name nothing counts but that it has no dash: VMs of NodePool lb of the same
// cluster have one.
func isInstanceOf(balancer, vm string) bool {
	end, is := strings.CutPrefix(vm, balancer+"-lb-")
	return balancer != "" && is && !strings.Contains(end, "-")
}

// mayUse tells whether a VM on a host may use what is reserved: its guest says so or could
// not be heard, or it is the VM that it was for, or a VM of ours without an object that
// could be. Where the host cannot tell whose it was, it could be anybody's. What an agent
// is at work on may become a VM though nothing can run on it yet.
func (e *evidence) mayUse(vm *hostapi.VM, spec *capstanv1.AddressReservationSpec) bool {
	if census.IsRemnant(vm) && vm.Operation == nil {
		return false
	}
	// One that its host could not read is listed without what its guest says.
	if vm.State == hostapi.StateFailed && len(vm.NICs) == 0 {
		return true
	}
	if slices.ContainsFunc(vm.NICs, func(n hostapi.NICStatus) bool { return slices.Contains(n.Addresses, spec.Address) }) {
		return true
	}
	id := string(vm.Stamp.ID)
	if isVM(spec, id) {
		return true
	}
	if vm.Stamp.Installation != e.installation || e.isKnown(vm.Stamp.ID) {
		return false
	}
	namespace, name, told := strings.Cut(vm.Owner, "/")
	if spec.UserRef == nil {
		// It may have been anybody's of that namespace.
		return !told || namespace == spec.ClaimRef.Namespace
	}
	return !told && !e.isBuried(vm.Stamp.ID) || isOf(spec, id, namespace, name)
}

// isBuried tells whether there is a Tombstone for the VM of an ID, which says what it was
// called: what is reserved for it is held by that.
func (e *evidence) isBuried(id hostapi.VMID) bool {
	return slices.ContainsFunc(e.tombstones.Items, func(t capstanv1.Tombstone) bool { return t.Spec.ID == string(id) })
}

// isKnown tells whether there is an object for the VM of an ID.
func (e *evidence) isKnown(id hostapi.VMID) bool {
	if e.ids == nil {
		e.ids = map[hostapi.VMID]bool{}
		for i := range e.vms.Items {
			e.ids[hostapi.VMID(e.vms.Items[i].UID)], e.ids[hostapi.VMID(e.vms.Items[i].Spec.ID)] = true, true
		}
		for i := range e.machines.Items {
			m := &e.machines.Items[i]
			e.ids[hostapi.VMID(m.UID)], e.ids[hostapi.VMID(strings.TrimPrefix(m.Spec.ProviderID, capstanv1.ProviderIDScheme))] = true, true
		}
	}
	return e.ids[id]
}
