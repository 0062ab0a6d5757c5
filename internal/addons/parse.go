package addons

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	yamlv3 "go.yaml.in/yaml/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// Bounds of one addon, far beyond what any that is known has.
const (
	maxObjects = 1000
	maxBytes   = 8 << 20
	maxDepth   = 100
)

// Parse reads all keys of ConfigMaps, each of which is a YAML file, in the order of
// their names. An error names ConfigMap, key and document.
func Parse(ctx context.Context, configMaps ...*corev1.ConfigMap) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	size := 0
	seen := map[ID]string{}
	for _, configMap := range configMaps {
		if len(configMap.BinaryData) > 0 {
			return nil, fmt.Errorf("ConfigMap %s: has binaryData: manifests are read from data alone", configMap.Name)
		}
		for _, key := range sortedKeys(configMap.Data) {
			text := configMap.Data[key]
			if size += len(text); size > maxBytes {
				return nil, fmt.Errorf("ConfigMap %s, key %s: manifests of more than %d MiB in all", configMap.Name, key, maxBytes>>20)
			}
			err := eachDocument(text, func(number int, document []byte) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				where := fmt.Sprintf("ConfigMap %s, key %s, document %d", configMap.Name, key, number)
				object, err := parseDocument(document)
				if err != nil {
					return fmt.Errorf("%s: %w", where, err)
				}
				if object == nil {
					return nil
				}
				if before, twice := seen[IDOf(object)]; twice {
					return fmt.Errorf("%s: %s is there already, in %s", where, IDOf(object), before)
				}
				seen[IDOf(object)] = where
				if objects = append(objects, object); len(objects) > maxObjects {
					return fmt.Errorf("%s: more than %d objects in all", where, maxObjects)
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
		}
	}
	if len(objects) == 0 {
		return nil, errors.New("there is no object in the ConfigMaps")
	}
	return objects, nil
}

// Size is how large the manifests in a ConfigMap are, as text.
func Size(configMap *corev1.ConfigMap) int {
	size := 0
	for _, text := range configMap.Data {
		size += len(text)
	}
	return size
}

func sortedKeys(data map[string]string) []string {
	keys := make([]string, 0, len(data))
	for key := range data {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// eachDocument hands out the documents of a YAML file, counted from 1.
func eachDocument(text string, take func(number int, document []byte) error) error {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for number := 1; ; number++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading document %d: %w", number, err)
		}
		if err := take(number, document); err != nil {
			return err
		}
	}
}

// parseDocument returns the object of a document, or nil if there is none in it.
func parseDocument(document []byte) (*unstructured.Unstructured, error) {
	root := &yamlv3.Node{}
	if err := yamlv3.NewDecoder(bytes.NewReader(document)).Decode(root); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, fmt.Errorf("is no YAML: %w", err)
	}
	if err := checkShape(root, 0); err != nil {
		return nil, err
	}
	if isEmpty(root) {
		return nil, nil
	}
	if root.Content[0].Kind != yamlv3.MappingNode {
		return nil, errors.New("is no object: it must have apiVersion, kind and metadata")
	}
	text, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return nil, fmt.Errorf("is no YAML: %w", err)
	}
	// Not with the object's own reader: its errors quote the document, which may be a
	// Secret.
	object := &unstructured.Unstructured{}
	if err := utiljson.Unmarshal(text, &object.Object); err != nil {
		return nil, errors.New("is no object: it cannot be read as JSON")
	}
	return object, check(object)
}

// checkShape refuses what grows when it is read, before it is read.
func checkShape(node *yamlv3.Node, depth int) error {
	switch {
	case node.Kind == yamlv3.AliasNode || node.Anchor != "":
		return fmt.Errorf("line %d: anchors and aliases are not taken: write out what they stand for", node.Line)
	case depth > maxDepth:
		return fmt.Errorf("line %d: more than %d levels deep", node.Line, maxDepth)
	}
	for _, child := range node.Content {
		if err := checkShape(child, depth+1); err != nil {
			return err
		}
	}
	return nil
}

func isEmpty(root *yamlv3.Node) bool {
	return len(root.Content) == 0 || root.Content[0].Kind == yamlv3.ScalarNode && root.Content[0].Tag == "!!null"
}
