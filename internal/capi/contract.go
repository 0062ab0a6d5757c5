package capi

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/cluster-api/util/contract"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// contractVersions are the contracts that this Cluster API speaks, best first.
var contractVersions = []string{"v1beta2", "v1beta1"}

// apiVersions returns what conversion needs to turn a reference without a
// version into one with it: the newest version of a kind that serves the best
// contract, by the labels on the kind's CRD.
func apiVersions(reader client.Reader) func(context.Context, schema.GroupKind) (string, error) {
	return func(ctx context.Context, gk schema.GroupKind) (string, error) {
		crd := &metav1.PartialObjectMetadata{}
		crd.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		name := contract.CalculateCRDName(gk.Group, gk.Kind)
		if err := reader.Get(ctx, client.ObjectKey{Name: name}, crd); err != nil {
			return "", fmt.Errorf("reading the contract labels of CRD %s: %w", name, err)
		}
		for _, contractVersion := range contractVersions {
			if served := crd.Labels[clusterv1.GroupVersion.Group+"/"+contractVersion]; served != "" {
				newest := slices.MaxFunc(strings.Split(served, "_"), version.CompareKubeAwareVersionStrings)
				return schema.GroupVersion{Group: gk.Group, Version: newest}.String(), nil
			}
		}
		return "", fmt.Errorf("CRD %s has no contract label of %s", name, strings.Join(contractVersions, " or "))
	}
}
