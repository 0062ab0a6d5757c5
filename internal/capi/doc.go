// Package capi runs Cluster API inside Capstan's manager: the reconcilers and
// webhooks of upstream's core, kubeadm bootstrap and kubeadm control plane
// providers, set up as their three main programs do, but in one manager with
// one cache and one ClusterCache.
//
// It is the only importer of Cluster API's reconcilers and webhooks. Nothing of
// Capstan's own kinds may enter: it would run as well for any infrastructure
// provider. The manifests that belong to it are config/capi.
//
// A caller goes through it in this order: AddToScheme, RequireCRDs and
// RefuseForeign, ConfigureManager, then SetupReconcilers and SetupWebhooks on
// the manager.
package capi
