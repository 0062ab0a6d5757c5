// Package capi runs Cluster API inside Capstan's manager: the reconcilers and
// webhooks of upstream's core, kubeadm bootstrap and kubeadm control plane
// providers, set up as their three main programs do, but in one manager with
// one cache and one ClusterCache.
//
// It is the only importer of Cluster API's reconcilers and webhooks. Nothing of
// Capstan's own kinds may enter: it would run as well for any infrastructure
// provider. The manifests that belong to it are config/capi.
//
// One thing of Cluster API's it takes off itself: the note on a KubeadmControlPlane
// that a member is being remediated, once that member has gone, none is going, and
// those that stay are as many as are wanted. Upstream would keep it for good and repair
// no member any more. A paused control plane, and that of a paused Cluster, keeps it.
//
// A caller goes through it in this order: AddToScheme, RequireCRDs and
// RefuseForeign, ConfigureManager, then SetupReconcilers and SetupWebhooks on
// the manager.
package capi
