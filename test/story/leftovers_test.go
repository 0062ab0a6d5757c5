package story

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// findsLeftovers plants what a bad product would leave: an auditor that finds
// nothing must be one that could have.
func findsLeftovers(t *testing.T, w *world, auditor *demoenv.Auditor) {
	t.Helper()
	g := NewWithT(t)
	g.Expect(auditor.Leftovers(w.Ctx)).To(BeEmpty())

	world, err := w.Env.World(w.Ctx)
	g.Expect(err).NotTo(HaveOccurred())
	site := world.Sites[0]
	file := fabricapi.FileRef{Volume: site.Volumes[0].Name, Path: `capstan\left.vhdx`}
	vm, err := w.Env.Admin.AddVM(w.Ctx, fabricapi.AddVMRequest{Host: world.Hosts[0].Name, DefineVMRequest: fabricapi.DefineVMRequest{
		Name: "left", ConfigVolume: file.Volume, Processors: 1, MemoryMiB: 1024,
	}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(w.Env.Admin.AddFile(w.Ctx, fabricapi.AddFileRequest{
		Site: site.Name, File: fabricapi.File{FileRef: file, Kind: fabricapi.VHDX, VirtualBytes: 1 << 30},
	})).To(Succeed())
	planted := []client.Object{
		&capstanv1.AddressReservation{
			ObjectMeta: metav1.ObjectMeta{Name: "left-127.0.0.9"},
			Spec: capstanv1.AddressReservationSpec{
				LogicalNetwork: "left", Address: "127.0.0.9", ClaimRef: capstanv1.ClaimReference{Namespace: metav1.NamespaceDefault, Name: "left", UID: "left"},
			},
		},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "left", Finalizers: []string{"example.com/held"}}},
	}
	for _, object := range planted {
		g.Expect(w.API.Create(w.Ctx, object)).To(Succeed())
	}
	g.Expect(auditor.Leftovers(w.Ctx)).To(ConsistOf(
		HavePrefix("VM left ("), HavePrefix(`VHDX capstan\left.vhdx on volume `+file.Volume),
		HavePrefix("AddressReservation.capstan.dev left-127.0.0.9 "), MatchRegexp(`^Secret default/left .*held by finalizers example.com/held`),
	))

	g.Expect(w.Env.Admin.RemoveVM(w.Ctx, vm.GUID)).To(Succeed())
	g.Expect(w.Env.Admin.RemoveFile(w.Ctx, fabricapi.RemoveFileRequest{Site: site.Name, FileRef: file})).To(Succeed())
	for _, object := range planted {
		g.Expect(w.API.Patch(w.Ctx, object, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
		g.Expect(client.IgnoreNotFound(w.API.Delete(w.Ctx, object))).To(Succeed())
	}
	g.Expect(auditor.WaitClean(w.Ctx, patience)).To(Succeed())
}
