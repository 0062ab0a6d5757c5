package demoenv

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/metadata/fake"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

type kinds []*metav1.APIResourceList

func (k kinds) ServerPreferredResources() ([]*metav1.APIResourceList, error) { return k, nil }

func secret(name string, finalizers ...string) *metav1.PartialObjectMetadata {
	return &metav1.PartialObjectMetadata{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, UID: "1", Finalizers: finalizers},
	}
}

func auditor(t *testing.T, world *fabricapi.World, objects ...runtime.Object) *Auditor {
	t.Helper()
	scheme := fake.NewTestScheme()
	NewWithT(t).Expect(metav1.AddMetaToScheme(scheme)).To(Succeed())
	a := &Auditor{
		kinds: kinds{{GroupVersion: "v1", APIResources: []metav1.APIResource{
			{Name: "secrets", Kind: "Secret", Namespaced: true, Verbs: metav1.Verbs{"list"}},
			{Name: "events", Kind: "Event", Namespaced: true, Verbs: metav1.Verbs{"list"}},
			{Name: "bindings", Kind: "Binding", Namespaced: true, Verbs: metav1.Verbs{"create"}},
		}}},
		metadata: fake.NewSimpleMetadataClient(scheme, objects...),
		hosts:    func(context.Context) ([]string, error) { return leftInWorld(*world), nil },
	}
	before, err := a.objects(t.Context())
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	a.before = before
	return a
}

func TestAuditorFindsWhatIsLeftInTheFabric(t *testing.T) {
	file := fabricapi.File{FileRef: fabricapi.FileRef{Volume: "csv1", Path: "x"}, Kind: fabricapi.VHDX, FileBytes: 5}
	image, part := file, file
	image.Image = &fabricapi.ImageInfo{TotalBytes: 5}
	part.Image = &fabricapi.ImageInfo{TotalBytes: 6}
	for name, c := range map[string]struct {
		site fabricapi.Site
		left int
	}{
		"nothing":                        {fabricapi.Site{Name: "fc1"}, 0},
		"a VM, though it is off":         {fabricapi.Site{VMs: []fabricapi.VM{{Name: "a", State: fabricapi.Off}}}, 1},
		"a disk":                         {fabricapi.Site{Files: []fabricapi.File{file}}, 1},
		"a claim":                        {fabricapi.Site{Roles: []fabricapi.Role{{Name: "a"}}}, 1},
		"a part of an image":             {fabricapi.Site{Files: []fabricapi.File{part}}, 1},
		"a staged image, which may stay": {fabricapi.Site{Files: []fabricapi.File{image}}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			a := auditor(t, &fabricapi.World{Sites: []fabricapi.Site{c.site}})
			g.Expect(a.Leftovers(t.Context())).To(HaveLen(c.left))
		})
	}
}

func TestAuditorFindsWhatIsNewInTheManagementCluster(t *testing.T) {
	g := NewWithT(t)
	a := auditor(t, &fabricapi.World{}, secret("old", "held"), secret("new"))
	g.Expect(a.Leftovers(t.Context())).To(BeEmpty())

	for key := range a.before {
		if key != "Secret default/old (uid 1)" {
			delete(a.before, key)
		}
	}
	g.Expect(a.Leftovers(t.Context())).To(ConsistOf("Secret default/new (uid 1)"))

	a.before = map[string]string{"Secret default/old (uid 1)": "", "Secret default/new (uid 1)": ""}
	g.Expect(a.Leftovers(t.Context())).To(ConsistOf(`finalizers "held" on Secret default/old (uid 1)`))
}

func TestAuditorNamesWhatStays(t *testing.T) {
	g := NewWithT(t)
	a := auditor(t, &fabricapi.World{Sites: []fabricapi.Site{{Name: "fc1", Roles: []fabricapi.Role{{Name: "orphan"}}}}})
	err := a.WaitClean(t.Context(), time.Millisecond)
	g.Expect(err).To(MatchError(ContainSubstring("claim orphan in fc1")))
}

func TestAuditorDoesNotTakeSilenceForClean(t *testing.T) {
	g := NewWithT(t)
	a := auditor(t, &fabricapi.World{})
	a.hosts = func(context.Context) ([]string, error) { return nil, errors.New("gone") }
	g.Expect(a.WaitClean(t.Context(), time.Minute)).To(MatchError(ContainSubstring("gone")))
}
