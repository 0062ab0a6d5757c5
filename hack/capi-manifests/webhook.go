package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// configurationNames maps the kinds in upstream's webhook manifests to the one
// object that carries the webhooks of all providers here.
var configurationNames = map[string]string{
	"MutatingWebhookConfiguration":   "capstan-capi-mutating",
	"ValidatingWebhookConfiguration": "capstan-capi-validating",
}

func webhookConfigurations(mod module) ([]any, error) {
	merged := map[string][]any{}
	unmet := maps.Clone(judgedBy)
	for _, provider := range providers {
		documents, err := decodeDocuments(mod.path(provider, "config", "webhook", "manifests.yaml"))
		if err != nil {
			return nil, err
		}
		for _, document := range documents {
			kind := document.GetKind()
			if _, known := configurationNames[kind]; !known {
				return nil, fmt.Errorf("unexpected kind %q in the webhook manifests of %s", kind, provider)
			}
			webhooks, _, err := unstructured.NestedSlice(document.Object, "webhooks")
			if err != nil {
				return nil, fmt.Errorf("reading the webhooks of %s: %w", provider, err)
			}
			for i := range webhooks {
				name, err := adoptWebhook(webhooks[i])
				if err != nil {
					return nil, fmt.Errorf("rewriting webhook %d of %s: %w", i, provider, err)
				}
				delete(unmet, name)
			}
			merged[kind] = append(merged[kind], webhooks...)
		}
	}
	if len(unmet) > 0 {
		return nil, fmt.Errorf("%s has no longer the webhooks %v", mod.Dir, slices.Sorted(maps.Keys(unmet)))
	}

	var configurations []any
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		if len(merged[kind]) == 0 {
			return nil, fmt.Errorf("no %s in %s", kind, mod.Dir)
		}
		configurations = append(configurations, map[string]any{
			"apiVersion": "admissionregistration.k8s.io/v1",
			"kind":       kind,
			"metadata": map[string]any{
				"name":   configurationNames[kind],
				"labels": map[string]any{partOfLabel: partOf},
			},
			"webhooks": merged[kind],
		})
	}
	return configurations, nil
}

// adoptWebhook points a webhook at our own service, and has it asked only about
// what may matter to it. It returns the webhook's name.
func adoptWebhook(entry any) (name string, err error) {
	webhook, ok := entry.(map[string]any)
	if !ok {
		return "", fmt.Errorf("not an object but %T", entry)
	}
	name, _, err = unstructured.NestedString(webhook, "name")
	if err != nil {
		return "", err
	}
	path, found, err := unstructured.NestedString(webhook, "clientConfig", "service", "path")
	if err != nil || !found {
		return "", errors.Join(errors.New("no service path"), err)
	}
	if conditions := asksAbout(name); conditions != nil {
		webhook["matchConditions"] = conditions
	}
	return name, unstructured.SetNestedMap(webhook, map[string]any{
		"name":      webhookService,
		"namespace": webhookNamespace,
		"path":      path,
	}, "clientConfig", "service")
}

func decodeDocuments(path string) ([]unstructured.Unstructured, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading upstream's manifest: %w", err)
	}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	var documents []unstructured.Unstructured
	for {
		var document unstructured.Unstructured
		err := decoder.Decode(&document.Object)
		if errors.Is(err, io.EOF) {
			return documents, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decoding %s: %w", path, err)
		}
		if len(document.Object) > 0 {
			documents = append(documents, document)
		}
	}
}
