package ipam

import (
	"context"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// +kubebuilder:rbac:groups=capstan.dev,resources=hypervhosts,verbs=get;list;watch

// mayRun tells whether a host may have a VM, without an object, that uses what a claim was
// made for: any of the claim's namespace may, such as a load balancer that carries a VIP. A
// host that was not swept for such VMs may have any.
func mayRun(ctx context.Context, reader client.Reader, claim *capstanv1.ClaimReference) (bool, error) {
	hosts := &capstanv1.HyperVHostList{}
	if err := reader.List(ctx, hosts); err != nil {
		return true, fmt.Errorf("listing HyperVHosts: %w", err)
	}
	for i := range hosts.Items {
		host := &hosts.Items[i]
		// One that never answered was given nothing.
		if host.Status.Memory == nil {
			continue
		}
		swept := conditions.Get(host, capstanv1.FreeOfOrphansCondition)
		if swept == nil || swept.Status == metav1.ConditionUnknown || len(host.Status.Orphans) >= capstanv1.MostOrphans {
			return true, nil
		}
		for _, orphan := range host.Status.Orphans {
			if !orphan.Remnant && (orphan.Owner == "" || strings.HasPrefix(orphan.Owner, claim.Namespace+"/")) {
				return true, nil
			}
		}
	}
	return false, nil
}
