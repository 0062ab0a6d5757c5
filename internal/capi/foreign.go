package capi

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// +kubebuilder:rbac:groups=apps,resources=deployments,verbs=list
// +kubebuilder:rbac:groups=admissionregistration.k8s.io,resources=mutatingwebhookconfigurations;validatingwebhookconfigurations,verbs=list

// upstreamProviders are the values of the provider label that upstream puts on
// every object of the three managers that this one stands in for. Infrastructure
// and other providers have their own value and may well run beside us.
var upstreamProviders = []string{"cluster-api", "bootstrap-kubeadm", "control-plane-kubeadm"}

// ForeignError says that somebody else's Cluster API is installed, and by what
// that was seen.
type ForeignError struct {
	// Found are the objects that are not ours.
	Found []string
}

// Error names the objects and what to do.
func (e *ForeignError) Error() string {
	return "another Cluster API is installed, and two would fight over every cluster: " +
		"remove it before Capstan's embedded one is started (found: " + strings.Join(e.Found, ", ") + ")"
}

// RefuseForeign fails with a ForeignError if somebody else's Cluster API is
// installed: CRDs of Cluster API without our label, one of upstream's
// Deployments even if it is scaled to zero, or admission webhooks for Cluster
// API's kinds that are not ours. The reader must not be a cache: it is asked
// before caches start.
func RefuseForeign(ctx context.Context, reader client.Reader) error {
	var found []string
	for _, look := range []func(context.Context, client.Reader) ([]string, error){
		foreignCRDs, foreignDeployments, foreignWebhooks,
	} {
		names, err := look(ctx, reader)
		if err != nil {
			return fmt.Errorf("looking for another Cluster API: %w", err)
		}
		found = append(found, names...)
	}
	if len(found) > 0 {
		return &ForeignError{Found: found}
	}
	return nil
}

func foreignCRDs(ctx context.Context, reader client.Reader) ([]string, error) {
	installed, err := installedCRDs(ctx, reader)
	if err != nil {
		return nil, err
	}
	var found []string
	for _, kind := range kinds {
		if crd, there := installed[crdName(kind)]; there && !isOurs(&crd) {
			found = append(found, "CustomResourceDefinition "+crd.Name)
		}
	}
	return found, nil
}

func foreignDeployments(ctx context.Context, reader client.Reader) ([]string, error) {
	upstream, err := labels.NewRequirement(clusterv1.ProviderNameLabel, selection.In, upstreamProviders)
	if err != nil {
		return nil, fmt.Errorf("selecting the deployments of Cluster API: %w", err)
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	if err := reader.List(ctx, list, client.MatchingLabelsSelector{Selector: labels.NewSelector().Add(*upstream)}); err != nil {
		return nil, fmt.Errorf("listing the deployments of Cluster API: %w", err)
	}
	var found []string
	for i := range list.Items {
		found = append(found, "Deployment "+client.ObjectKeyFromObject(&list.Items[i]).String())
	}
	return found, nil
}

func foreignWebhooks(ctx context.Context, reader client.Reader) ([]string, error) {
	mutating := &admissionregistrationv1.MutatingWebhookConfigurationList{}
	if err := reader.List(ctx, mutating); err != nil {
		return nil, fmt.Errorf("listing the mutating webhooks: %w", err)
	}
	validating := &admissionregistrationv1.ValidatingWebhookConfigurationList{}
	if err := reader.List(ctx, validating); err != nil {
		return nil, fmt.Errorf("listing the validating webhooks: %w", err)
	}

	var found []string
	for i := range mutating.Items {
		configuration := &mutating.Items[i]
		isWebhook := func(w admissionregistrationv1.MutatingWebhook) bool { return isUpstreamWebhook(w.ClientConfig) }
		if !isOurs(configuration) && (isUpstream(configuration) || slices.ContainsFunc(configuration.Webhooks, isWebhook)) {
			found = append(found, "MutatingWebhookConfiguration "+configuration.Name)
		}
	}
	for i := range validating.Items {
		configuration := &validating.Items[i]
		isWebhook := func(w admissionregistrationv1.ValidatingWebhook) bool { return isUpstreamWebhook(w.ClientConfig) }
		if !isOurs(configuration) && (isUpstream(configuration) || slices.ContainsFunc(configuration.Webhooks, isWebhook)) {
			found = append(found, "ValidatingWebhookConfiguration "+configuration.Name)
		}
	}
	return found, nil
}

func isOurs(object metav1.Object) bool {
	return object.GetLabels()[partOfLabel] == partOf
}

func isUpstream(object metav1.Object) bool {
	return slices.Contains(upstreamProviders, object.GetLabels()[clusterv1.ProviderNameLabel])
}

// upstreamPath matches the paths that controller-runtime derives from Cluster
// API's kinds, in whatever version. Rules cannot tell: a policy engine's match
// the same kinds.
var upstreamPath = func() *regexp.Regexp {
	alternatives := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		group := strings.ReplaceAll(kind.Group, ".", "-")
		alternatives = append(alternatives, regexp.QuoteMeta(group)+`-v[0-9a-z]+-`+strings.ToLower(kind.Kind))
	}
	return regexp.MustCompile(`/(mutate|validate|validate-scale)-(` + strings.Join(alternatives, "|") + `)$`)
}()

func isUpstreamWebhook(config admissionregistrationv1.WebhookClientConfig) bool {
	if config.Service != nil && config.Service.Path != nil {
		return upstreamPath.MatchString(*config.Service.Path)
	}
	return config.URL != nil && upstreamPath.MatchString(*config.URL)
}
