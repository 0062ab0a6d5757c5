package capi

import (
	"fmt"

	bootstrapadmission "sigs.k8s.io/cluster-api/bootstrap/kubeadm/webhooks/admission"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	controlplaneadmission "sigs.k8s.io/cluster-api/controlplane/kubeadm/webhooks/admission"
	controlplaneconversion "sigs.k8s.io/cluster-api/controlplane/kubeadm/webhooks/conversion"
	coreadmission "sigs.k8s.io/cluster-api/core/webhooks/admission"
	coreconversion "sigs.k8s.io/cluster-api/core/webhooks/conversion"
	ctrl "sigs.k8s.io/controller-runtime"
)

// SetupWebhooks adds every admission webhook of Cluster API, and with them the
// conversion of its kinds, to the manager's webhook server. They are no option:
// the reconcilers rely on the defaults that admission fills in. The webhooks of
// kinds whose feature gate is off are there to refuse them.
func SetupWebhooks(mgr ctrl.Manager, clusters clustercache.ClusterCache) error {
	getter := apiVersions(mgr.GetClient())
	coreconversion.SetAPIVersionGetter(getter)
	controlplaneconversion.SetAPIVersionGetter(getter)

	for _, webhook := range []interface {
		SetupWebhookWithManager(mgr ctrl.Manager) error
	}{
		&coreadmission.Cluster{Client: mgr.GetClient(), ClusterCacheReader: clusters},
		&coreadmission.ClusterClass{Client: mgr.GetClient()},
		&coreadmission.ClusterResourceSet{},
		&coreadmission.ClusterResourceSetBinding{},
		&coreadmission.ExtensionConfig{},
		// The webhook reads one claim of each address and nothing else does: a cache
		// would hold them all for that.
		&coreadmission.IPAddress{Client: mgr.GetAPIReader()},
		&coreadmission.IPAddressClaim{},
		&coreadmission.Machine{},
		&coreadmission.MachineDeployment{},
		&coreadmission.MachineDrainRule{},
		&coreadmission.MachineHealthCheck{},
		&coreadmission.MachinePool{},
		&coreadmission.MachineSet{},
		&bootstrapadmission.KubeadmConfig{},
		&bootstrapadmission.KubeadmConfigTemplate{},
		&controlplaneadmission.KubeadmControlPlane{},
		&controlplaneadmission.KubeadmControlPlaneTemplate{},
		&controlplaneadmission.ScaleValidator{Client: mgr.GetClient()},
	} {
		if err := webhook.SetupWebhookWithManager(mgr); err != nil {
			return fmt.Errorf("setting up the webhook %T: %w", webhook, err)
		}
	}
	return nil
}
