package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// named is at most how many users a refusal names.
const named = 5

// refuseInUse refuses the deletion of what somebody uses, and names them.
func refuseInUse(resource, name, fix string, users []string) error {
	if len(users) == 0 {
		return nil
	}
	slices.Sort(users)
	users = slices.Compact(users)
	return apierrors.NewForbidden(schema.GroupResource{Group: capstanv1.GroupVersion.Group, Resource: resource}, name,
		fmt.Errorf("it is used by %s: %s", firstFew(users), fix))
}

// firstFew names the first few of some users, and how many more there are.
func firstFew(users []string) string {
	list := strings.Join(users[:min(named, len(users))], ", ")
	if more := len(users) - named; more > 0 {
		list += fmt.Sprintf(" and %d more", more)
	}
	return list
}

func user(kind string, obj client.Object) string {
	return kind + " " + client.ObjectKeyFromObject(obj).String()
}

// usersOfVMs lists the VirtualMachines that use says so of.
func usersOfVMs(ctx context.Context, live client.Reader, uses func(*capstanv1.VirtualMachine) bool) ([]string, error) {
	vms := &capstanv1.VirtualMachineList{}
	if err := live.List(ctx, vms); err != nil {
		return nil, fmt.Errorf("listing VirtualMachines: %w", err)
	}
	var users []string
	for i := range vms.Items {
		if uses(&vms.Items[i]) {
			users = append(users, user("VirtualMachine", &vms.Items[i]))
		}
	}
	return users, nil
}

// usersOfSpecs lists the objects that will make VirtualMachines from a network or
// an image.
func usersOfSpecs(ctx context.Context, live client.Reader, network, image string) ([]string, error) {
	infrastructure, err := usersOfInfrastructure(ctx, live, network, image)
	if err != nil {
		return nil, err
	}
	var users []string
	clusters := &capstanv1.WorkloadClusterList{}
	if err := live.List(ctx, clusters); err != nil {
		return nil, fmt.Errorf("listing WorkloadClusters: %w", err)
	}
	for i := range clusters.Items {
		c := &clusters.Items[i]
		if uses(c.Spec.LogicalNetwork, network) || uses(c.Spec.ControlPlane.Image, image) || uses(c.Spec.LoadBalancer.Image, image) {
			users = append(users, user("WorkloadCluster", c))
		}
	}
	pools := &capstanv1.NodePoolList{}
	if err := live.List(ctx, pools); err != nil {
		return nil, fmt.Errorf("listing NodePools: %w", err)
	}
	for i := range pools.Items {
		if uses(pools.Items[i].Spec.Image, image) {
			users = append(users, user("NodePool", &pools.Items[i]))
		}
	}
	balancers := &capstanv1.LoadBalancerList{}
	if err := live.List(ctx, balancers); err != nil {
		return nil, fmt.Errorf("listing LoadBalancers: %w", err)
	}
	for i := range balancers.Items {
		b := &balancers.Items[i]
		if uses(b.Spec.LogicalNetwork, network) || uses(b.Spec.Image, image) {
			users = append(users, user("LoadBalancer", b))
		}
	}
	templates := &infrav1.HyperVMachineTemplateList{}
	if err := live.List(ctx, templates); err != nil {
		return nil, fmt.Errorf("listing HyperVMachineTemplates: %w", err)
	}
	for i := range templates.Items {
		spec := &templates.Items[i].Spec.Template.Spec
		if uses(spec.Image, image) || usesNetwork(spec.Networks, network) {
			users = append(users, user("HyperVMachineTemplate", &templates.Items[i]))
		}
	}
	return append(users, infrastructure...), nil
}

// usersOfInfrastructure lists those of a plain Cluster API user, whose
// VirtualMachines may not be made yet.
func usersOfInfrastructure(ctx context.Context, live client.Reader, network, image string) ([]string, error) {
	var users []string
	clusters := &infrav1.HyperVClusterList{}
	if err := live.List(ctx, clusters); err != nil {
		return nil, fmt.Errorf("listing HyperVClusters: %w", err)
	}
	for i := range clusters.Items {
		spec := &clusters.Items[i].Spec
		if uses(spec.LogicalNetwork, network) || spec.LoadBalancer != nil && uses(spec.LoadBalancer.Image, image) {
			users = append(users, user("HyperVCluster", &clusters.Items[i]))
		}
	}
	machines := &infrav1.HyperVMachineList{}
	if err := live.List(ctx, machines); err != nil {
		return nil, fmt.Errorf("listing HyperVMachines: %w", err)
	}
	for i := range machines.Items {
		spec := &machines.Items[i].Spec
		if uses(spec.Image, image) || usesNetwork(spec.Networks, network) {
			users = append(users, user("HyperVMachine", &machines.Items[i]))
		}
	}
	return users, nil
}

func uses(has, wanted string) bool { return wanted != "" && has == wanted }

func usesNetwork(networks []capstanv1.VMNetwork, wanted string) bool {
	return slices.ContainsFunc(networks, func(n capstanv1.VMNetwork) bool { return uses(n.LogicalNetwork, wanted) })
}
