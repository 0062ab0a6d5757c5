package addons_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/capstan-k8s/capstan/internal/addons"
)

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

const account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web}\n"

func TestEveryDocumentOfEveryKeyIsRead(t *testing.T) {
	g := NewWithT(t)
	objects, err := addons.Parse(t.Context(),
		configMap("one", map[string]string{
			"b.yaml": "# only words\n---\n" + account + "---\n\n---\n" + strings.ReplaceAll(account, "web", "db"),
			"a.yaml": "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, creationTimestamp: null}\nspec: {replicas: 3}\nstatus: {replicas: 1}\n",
		}),
		configMap("two", map[string]string{"c": `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}`}),
	)
	g.Expect(err).NotTo(HaveOccurred())
	var ids []string
	for _, object := range objects {
		ids = append(ids, addons.IDOf(object).String())
	}
	g.Expect(ids).To(Equal([]string{"Deployment web", "ServiceAccount web", "ServiceAccount db", "Namespace team"}))
	g.Expect(objects[0].Object).NotTo(HaveKey("status"))
	g.Expect(objects[0].Object["spec"]).To(HaveKeyWithValue("replicas", int64(3)))
	g.Expect(objects[0].Object["metadata"]).NotTo(HaveKey("creationTimestamp"))
}

func TestWhatIsNoManifestIsRefusedWithItsPlace(t *testing.T) {
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for name, c := range map[string]struct{ text, says string }{
		"no YAML":                    {"a: b: c", "document 1: is no YAML"},
		"a tab":                      {account + "---\n\tkind: x", "document 2: is no YAML"},
		"a key twice":                {account + "kind: Pod\n", "document 1: is no YAML"},
		"a list":                     {"- a\n- b", "document 1: is no object"},
		"a text":                     {"hello", "document 1: is no object"},
		"no kind":                    {"apiVersion: v1\nmetadata: {name: web}", "document 1: is no object"},
		"a number for kind":          {"apiVersion: v1\nkind: 7\nmetadata: {name: web}", "document 1: is no object"},
		"no version":                 {"kind: Pod\nmetadata: {name: web}", "document 1: is no object: apiVersion"},
		"too many slashes":           {"apiVersion: a/b/c\nkind: Pod\nmetadata: {name: web}", `apiVersion "a/b/c" is none`},
		"no metadata":                {account + "---\napiVersion: v1\nkind: Pod\n", "document 2: Pod has no metadata"},
		"metadata that is a text":    {"apiVersion: v1\nkind: Pod\nmetadata: web\n", "document 1: Pod has no metadata"},
		"no name":                    {"apiVersion: v1\nkind: Pod\nmetadata: {namespace: x}", "document 1: Pod has no metadata.name"},
		"a name that is a path":      {"apiVersion: v1\nkind: Pod\nmetadata: {name: ../../secrets}", "document 1: name or namespace of Pod ../../secrets"},
		"a namespace that is a path": {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: b/c}", "document 1: name or namespace of Pod a"},
		"an unknown metadata field":  {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, lables: {}}", "document 1: metadata of Pod: "},
		"a label that is a number":   {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {x: 1}}", "document 1: metadata of Pod: "},
		"a generated name":           {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, generateName: a-}", "generateName is not taken"},
		"an exported object":         {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, uid: 12}", "document 1: metadata of Pod"},
		"a resource version":         {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, resourceVersion: '12'}", "are the API server's"},
		"an owner":                   {"apiVersion: v1\nkind: Pod\nmetadata: {name: a, ownerReferences: [{apiVersion: v1, kind: Node, name: node, uid: u}]}", "ownerReferences are not taken"},
		"a list of objects":          {"apiVersion: v1\nkind: List\nitems: []\n", "is a List: put each object"},
		"an alias":                   {"apiVersion: v1\nkind: Pod\nmetadata: &m {name: a}\nspec: *m\n", "anchors and aliases are not taken"},
		"depth":                      {"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: " + deep, "more than 100 levels deep"},
		"an object twice":            {account + "---\n" + account, "document 2: ServiceAccount web is there already, in ConfigMap app, key all.yaml, document 1"},
		"nothing":                    {"# later\n", "there is no object"},
		"too many objects":           {manyAccounts(1001), "document 1001: more than 1000 objects"},
		"too much":                   {"# " + strings.Repeat("x", 9<<20), "more than 8 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := addons.Parse(t.Context(), configMap("app", map[string]string{"all.yaml": c.text}))
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring(c.says)))
		})
	}
}

func TestErrorsDoNotQuoteWhatMayBeSecret(t *testing.T) {
	g := NewWithT(t)
	for _, text := range []string{
		"apiVersion: a/b/c\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2}\n",
		"apiVersion: v1\nkind: 7\nmetadata: {name: a}\nstringData: {password: hunter2}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a, uid: b}\nstringData: {password: hunter2}\n",
		"apiVersion: v1\nkind: Secret\nstringData: {password: hunter2}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2, password: hunter2}\n",
	} {
		_, err := addons.Parse(t.Context(), configMap("app", map[string]string{"all.yaml": text}))
		g.Expect(err).To(MatchError(Not(ContainSubstring("hunter2"))))
	}
}

func TestBinaryDataIsRefused(t *testing.T) {
	packed := configMap("app", map[string]string{"all.yaml": account})
	packed.BinaryData = map[string][]byte{"more": {1}}
	_, err := addons.Parse(t.Context(), packed)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("ConfigMap app: has binaryData")))
}

func TestNothingIsReadOnceTheTimeIsUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := addons.Parse(ctx, configMap("app", map[string]string{"all.yaml": account}))
	NewWithT(t).Expect(err).To(MatchError(context.Canceled))
}

func manyAccounts(count int) string {
	var text strings.Builder
	for i := range count {
		text.WriteString(strings.ReplaceAll(account, "web", "web-"+strconv.Itoa(i)) + "---\n")
	}
	return text.String()
}
