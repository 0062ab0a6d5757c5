package addon

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

// An inventory is a ConfigMap in the workload cluster: it is there as long as the
// objects are, whatever becomes of the management cluster.
const (
	inventoryNamespace = metav1.NamespaceSystem
	inventoryPrefix    = "capstan-addon-"
	inventoryKey       = "objects.json"
	inventoryLabel     = "capstan.dev/addon-inventory"
)

// inventory returns what an addon may have in the cluster, nil if it has none.
func (s *site) inventory(ctx context.Context, addon string) (addons.Inventory, error) {
	configMap := &corev1.ConfigMap{}
	err := s.Get(ctx, client.ObjectKey{Namespace: inventoryNamespace, Name: inventoryPrefix + addon}, configMap)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the inventory of addon %s: %w", addon, err)
	}
	inventory, err := addons.ParseInventory(configMap.Data[inventoryKey])
	if err != nil {
		return nil, &rejectedError{fmt.Errorf("ConfigMap %s/%s: %w; deleting it lets everything be found anew, but for what has left the manifests since",
			configMap.Namespace, configMap.Name, err)}
	}
	return inventory, nil
}

// inventories returns the names of the addons that have one. Whoever may write in
// kube-system may write what looks like one, as many and as large as he likes: no more
// than so many are looked at, without what is in them, and what no addon can be named is
// left alone.
func (s *site) inventories(ctx context.Context) ([]string, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := s.List(ctx, list, client.InNamespace(inventoryNamespace), client.HasLabels{inventoryLabel}, client.Limit(mostInventories)); err != nil {
		return nil, fmt.Errorf("listing the inventories of addons: %w", err)
	}
	var names []string
	for i := range list.Items {
		name := list.Items[i].Labels[inventoryLabel]
		if list.Items[i].Name != inventoryPrefix+name || len(name) > longestName || len(validation.IsDNS1123Label(name)) > 0 {
			continue
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return names, nil
}

// mostInventories is how many are looked at.
const mostInventories = 500

// longestName is that of an addon.
const longestName = 40

// record writes down what an addon may have in the cluster, if that differs from what
// is written there.
func (s *site) record(ctx context.Context, addon string, written, inventory addons.Inventory) error {
	text, err := inventory.Encode()
	if err != nil {
		return err
	}
	if before, err := written.Encode(); err == nil && written != nil && before == text {
		return nil
	}
	configMap := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{
			"namespace": inventoryNamespace, "name": inventoryPrefix + addon,
			"labels": map[string]any{inventoryLabel: addon},
		},
		"data": map[string]any{inventoryKey: text},
	}}
	if err := s.Apply(ctx, client.ApplyConfigurationFromUnstructured(configMap), client.FieldOwner(capstanv1.FieldOwner), client.ForceOwnership); err != nil {
		return fmt.Errorf("writing the inventory of addon %s: %w", addon, err)
	}
	return nil
}

// forget deletes the inventory of an addon of which nothing is left.
func (s *site) forget(ctx context.Context, addon string) error {
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: inventoryNamespace, Name: inventoryPrefix + addon}}
	if err := s.Delete(ctx, configMap); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the inventory of addon %s: %w", addon, err)
	}
	return nil
}
