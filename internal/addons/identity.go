package addons

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// ID is which object something is, in whichever version.
type ID struct {
	Group     string `json:"group,omitempty"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

// IDOf returns which object this is.
func IDOf(object *unstructured.Unstructured) ID {
	kind := object.GroupVersionKind()
	return ID{Group: kind.Group, Kind: kind.Kind, Namespace: object.GetNamespace(), Name: object.GetName()}
}

// GroupKind returns the kind of the object.
func (id ID) GroupKind() schema.GroupKind { return schema.GroupKind{Group: id.Group, Kind: id.Kind} }

// String implements fmt.Stringer.
func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + " " + id.Name
	}
	return fmt.Sprintf("%s %s/%s", id.Kind, id.Namespace, id.Name)
}

// Inventory are the objects that an addon may have in a cluster, in the order in which
// they are made.
type Inventory []ID

// ParseInventory reads what Encode wrote.
func ParseInventory(text string) (Inventory, error) {
	var i Inventory
	if err := json.Unmarshal([]byte(text), &i); err != nil {
		return nil, fmt.Errorf("reading the inventory: %w", err)
	}
	if slices.ContainsFunc(i, func(id ID) bool { return id.Kind == "" || id.Name == "" }) {
		return nil, fmt.Errorf("reading the inventory: an object in it has no kind or no name")
	}
	return i, nil
}

// Encode returns the inventory as text.
func (i Inventory) Encode() (string, error) {
	text, err := json.Marshal(i)
	if err != nil {
		return "", fmt.Errorf("writing the inventory: %w", err)
	}
	return string(text), nil
}

// With returns the inventory with others, each once.
func (i Inventory) With(others Inventory) Inventory {
	all := slices.Clone(i)
	for _, id := range others {
		if !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// Without returns what is not in the other, in the order in which it is deleted: each
// group is needed by none but those before it.
func (i Inventory) Without(other Inventory) []Inventory {
	rest := slices.DeleteFunc(slices.Clone(i), func(id ID) bool { return slices.Contains(other, id) })
	slices.SortStableFunc(rest, func(a, b ID) int { return cmp.Compare(rankOf(b.GroupKind()), rankOf(a.GroupKind())) })
	var groups []Inventory
	for n, id := range rest {
		if n == 0 || rankOf(id.GroupKind()) != rankOf(rest[n-1].GroupKind()) {
			groups = append(groups, nil)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], id)
	}
	return groups
}
