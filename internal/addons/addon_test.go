package addons_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addons"
)

func object(apiVersion, kind, name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": apiVersion, "kind": kind, "metadata": map[string]any{"name": name},
	}}
}

func mixed() []*unstructured.Unstructured {
	return []*unstructured.Unstructured{
		object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", "hook"),
		object("operator.tigera.io/v1", "Installation", "default"),
		object("apps/v1", "Deployment", "operator"),
		object("rbac.authorization.k8s.io/v1", "ClusterRole", "operator"),
		object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "installations"),
		object("v1", "ServiceAccount", "operator"),
		object("v1", "Namespace", "system"),
	}
}

func kinds(objects []*unstructured.Unstructured) []string {
	var all []string
	for _, o := range objects {
		all = append(all, o.GetKind())
	}
	return all
}

func TestObjectsAreAppliedBeforeThoseThatNeedThem(t *testing.T) {
	g := NewWithT(t)
	addon, err := addons.New("calico", "default", mixed(), capstanv1.AddonHealthy)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(kinds(addon.Objects)).To(Equal([]string{
		"Namespace", "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "Deployment", "Installation", "ValidatingWebhookConfiguration",
	}))
	for _, o := range addon.Objects {
		g.Expect(o.GetLabels()).To(HaveKeyWithValue(capstanv1.AddonLabel, "calico"))
	}
}

func TestObjectsAreDeletedBeforeThoseThatTheyNeed(t *testing.T) {
	g := NewWithT(t)
	var had addons.Inventory
	for _, o := range mixed() {
		had = had.With(addons.Inventory{addons.IDOf(o)})
	}
	keep := addons.Inventory{{Group: "apps", Kind: "Deployment", Name: "operator"}}
	var order []string
	for _, group := range had.Without(keep) {
		for _, id := range group {
			order = append(order, id.Kind)
		}
	}
	g.Expect(order).To(Equal([]string{"ValidatingWebhookConfiguration", "Installation", "ClusterRole", "ServiceAccount", "CustomResourceDefinition", "Namespace"}))
}

func TestRevisionFollowsTheManifests(t *testing.T) {
	g := NewWithT(t)
	revision := func(namespace string, objects ...*unstructured.Unstructured) string {
		addon, err := addons.New("app", namespace, objects, capstanv1.AddonHealthy)
		g.Expect(err).NotTo(HaveOccurred())
		return addon.Revision
	}
	plain := revision("default", object("v1", "Secret", "a"), object("v1", "Namespace", "b"))
	g.Expect(revision("default", object("v1", "Namespace", "b"), object("v1", "Secret", "a"))).To(Equal(plain))
	g.Expect(revision("team", object("v1", "Secret", "a"), object("v1", "Namespace", "b"))).NotTo(Equal(plain))
	g.Expect(revision("default", object("v1", "Secret", "c"), object("v1", "Namespace", "b"))).NotTo(Equal(plain))
}

func TestInventoryIsReadAsItWasWritten(t *testing.T) {
	g := NewWithT(t)
	written := addons.Inventory{{Group: "rbac.authorization.k8s.io", Kind: "ClusterRole", Name: "system:web_all"}, {Kind: "Secret", Namespace: "a", Name: "b.c"}}
	text, err := written.Encode()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(addons.ParseInventory(text)).To(Equal(written))
	for _, bad := range []string{"", "{}", `[{"kind": "Secret"}]`, `[{"name": "b"}]`, "nonsense"} {
		_, err := addons.ParseInventory(bad)
		g.Expect(err).To(MatchError(ContainSubstring("reading the inventory")), bad)
	}
}

func TestDefinitionTellsWhetherItsObjectsHaveNamespaces(t *testing.T) {
	g := NewWithT(t)
	definition := object("apiextensions.k8s.io/v1", "CustomResourceDefinition", "widgets.example.org")
	definition.Object["spec"] = map[string]any{"group": "example.org", "scope": "Namespaced", "names": map[string]any{"kind": "Widget"}}
	widget := schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Widget"}
	namespaced, defines := addons.DefinesKind(definition, widget)
	g.Expect(defines && namespaced).To(BeTrue())
	widget.Kind = "Gadget"
	_, defines = addons.DefinesKind(definition, widget)
	g.Expect(defines).To(BeFalse())
	definition.Object["spec"] = "hostile"
	_, defines = addons.DefinesKind(definition, widget)
	g.Expect(defines).To(BeFalse())
}

func TestHealthIsKstatus(t *testing.T) {
	for name, c := range map[string]struct {
		status map[string]any
		health addons.Health
		why    string
	}{
		"no status yet": {nil, addons.Coming, "DaemonSet web: "},
		"not all there": {map[string]any{
			"observedGeneration": int64(1), "desiredNumberScheduled": int64(3), "currentNumberScheduled": int64(3), "updatedNumberScheduled": int64(3), "numberAvailable": int64(2), "numberReady": int64(2),
		}, addons.Coming, "Available: 2/3"},
		"all there": {map[string]any{
			"observedGeneration": int64(1), "desiredNumberScheduled": int64(3), "currentNumberScheduled": int64(3), "updatedNumberScheduled": int64(3), "numberAvailable": int64(3), "numberReady": int64(3),
		}, addons.Well, ""},
		"nonsense": {map[string]any{"observedGeneration": "one", "conditions": "none"}, addons.Coming, "DaemonSet web: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			daemons := object("apps/v1", "DaemonSet", "web")
			daemons.SetGeneration(1)
			if c.status != nil {
				daemons.Object["status"] = c.status
			}
			health, why := addons.Judge(daemons)
			g.Expect(health).To(Equal(c.health), why)
			g.Expect(why).To(ContainSubstring(c.why))
		})
	}
}
