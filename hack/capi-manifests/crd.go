package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	partOfLabel      = "app.kubernetes.io/part-of"
	partOf           = "capstan"
	webhookService   = "capstan-webhook"
	webhookNamespace = "capstan-system"
	// contractPrefix begins the labels that name the versions that serve a contract.
	contractPrefix = "cluster.x-k8s.io/"
)

// customResourceDefinitions returns the CRDs of all providers by file name.
func customResourceDefinitions(mod module) (map[string]any, error) {
	crds := map[string]any{}
	for _, provider := range providers {
		labels, err := contractLabels(mod, provider)
		if err != nil {
			return nil, err
		}
		files, err := filepath.Glob(mod.path(provider, "config", "crd", "bases", "*.yaml"))
		if err != nil {
			return nil, fmt.Errorf("listing the CRDs of %s: %w", provider, err)
		}
		if len(files) == 0 {
			return nil, fmt.Errorf("no CRDs of %s in %s", provider, mod.Dir)
		}
		for _, file := range files {
			crd := map[string]any{}
			if err := decodeFile(file, &crd); err != nil {
				return nil, err
			}
			if err := adoptCRD(crd, labels); err != nil {
				return nil, fmt.Errorf("rewriting %s: %w", file, err)
			}
			crds[filepath.Base(file)] = crd
		}
	}
	return crds, nil
}

// contractLabels returns the labels that upstream's kustomization puts on the
// CRDs of a provider, by which Cluster API finds the version that serves a
// contract.
func contractLabels(mod module, provider string) (map[string]string, error) {
	var kustomization struct {
		Labels []struct {
			Pairs map[string]string `json:"pairs"`
		} `json:"labels"`
	}
	if err := decodeFile(mod.path(provider, "config", "crd", "kustomization.yaml"), &kustomization); err != nil {
		return nil, err
	}
	labels := map[string]string{}
	for _, set := range kustomization.Labels {
		maps.Copy(labels, set.Pairs)
	}
	return labels, nil
}

// adoptCRD makes a CRD part of this installation: the label by which the
// manager tells its own CRDs from somebody else's, one version, and conversion by
// its webhook service.
func adoptCRD(crd map[string]any, labels map[string]string) error {
	served, err := serveStoredVersion(crd)
	if err != nil {
		return err
	}
	object := unstructured.Unstructured{Object: crd}
	all := map[string]string{partOfLabel: partOf}
	maps.Copy(all, object.GetLabels())
	for contract, version := range labels {
		if !strings.HasPrefix(contract, contractPrefix) || version == served {
			all[contract] = version
		}
	}
	object.SetLabels(all)

	return unstructured.SetNestedMap(crd, map[string]any{
		"strategy": "Webhook",
		"webhook": map[string]any{
			"conversionReviewVersions": []any{"v1"},
			"clientConfig": map[string]any{
				"service": map[string]any{
					"name":      webhookService,
					"namespace": webhookNamespace,
					"path":      "/convert",
				},
			},
		},
	}, "spec", "conversion")
}

// serveStoredVersion serves a kind in the version that it is stored in alone. For
// every other one that is served, an API server keeps a cache of its own, and asks
// the webhook to convert each object that is written, though nobody reads it. What
// is stored in an older version can still be read, as the newest one.
func serveStoredVersion(crd map[string]any) (served string, err error) {
	versions, _, err := unstructured.NestedSlice(crd, "spec", "versions")
	if err != nil {
		return "", fmt.Errorf("reading its versions: %w", err)
	}
	for _, version := range versions {
		fields, ok := version.(map[string]any)
		if !ok {
			return "", fmt.Errorf("a version is a %T", version)
		}
		fields["served"] = fields["storage"]
		if fields["storage"] == true {
			served, _ = fields["name"].(string)
		}
	}
	if served == "" {
		return "", errors.New("no version is the stored one")
	}
	return served, unstructured.SetNestedSlice(crd, versions, "spec", "versions")
}
