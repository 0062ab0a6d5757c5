// Package admission answers bad input at once, field by field, with what to do
// about it. It holds the rules that need to look at other objects or at both old
// and new; what a schema or CEL rule can say stands in the API types. One field alone
// is changed here, the replicas of a NodePool: all other defaults are the schema's,
// so that GitOps tools see no difference between what they apply and what is stored.
package admission

import (
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SetupWebhooks adds the admission webhooks of Capstan's kinds to a manager.
// Lookups go past its cache: a network that was applied a moment before a cluster
// must not count as unknown.
func SetupWebhooks(mgr ctrl.Manager) error {
	live := mgr.GetAPIReader()
	for kind, setup := range map[string]func(ctrl.Manager, client.Reader) error{
		"WorkloadCluster": setupWorkloadCluster,
		"NodePool":        setupNodePool,
		"LogicalNetwork":  setupLogicalNetwork,
		"VMImage":         setupVMImage,
		"HyperVHost":      setupHyperVHost,
		"LoadBalancer":    setupLoadBalancer,
		"protection":      setupProtection,
	} {
		if err := setup(mgr, live); err != nil {
			return fmt.Errorf("setting up the webhook of %s: %w", kind, err)
		}
	}
	return nil
}
