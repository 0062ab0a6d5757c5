package hypervmachinetemplate_test

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/controllers/hypervmachinetemplate"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

func newTemplate(os capstanv1.OS) *infrav1.HyperVMachineTemplate {
	t := &infrav1.HyperVMachineTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "workers"}}
	t.Spec.Template.Spec = infrav1.HyperVMachineSpec{OS: os, Size: testenv.NewSize(4, "8Gi", "60Gi"), Image: "image"}
	return t
}

// world counts the writes of the reconciler.
type world struct {
	client client.Client
	writes int
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	w := &world{}
	scheme := runtime.NewScheme()
	NewWithT(t).Expect(infrav1.AddToScheme(scheme)).To(Succeed())
	fakeClient := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(objects...).Build()
	w.client = interceptor.NewClient(fakeClient, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			w.writes++
			return c.SubResource(name).Patch(ctx, obj, patch, opts...)
		},
	})
	return w
}

func (w *world) reconcile(t *testing.T, template *infrav1.HyperVMachineTemplate) {
	t.Helper()
	g := NewWithT(t)
	key := client.ObjectKeyFromObject(template)
	_, err := (&hypervmachinetemplate.Reconciler{Client: w.client}).Reconcile(t.Context(), ctrl.Request{NamespacedName: key})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(client.IgnoreNotFound(w.client.Get(t.Context(), key, template))).To(Succeed())
}

func TestATemplateTellsWhatItsMachinesWouldBe(t *testing.T) {
	for os, operatingSystem := range map[capstanv1.OS]string{capstanv1.OSLinux: "linux", capstanv1.OSWindows: "windows"} {
		t.Run(string(os), func(t *testing.T) {
			g := NewWithT(t)
			template := newTemplate(os)
			newWorld(t, template).reconcile(t, template)
			g.Expect(template.Status.NodeInfo).To(Equal(infrav1.NodeInfo{Architecture: "amd64", OperatingSystem: operatingSystem}))
			g.Expect(template.Status.Capacity.Cpu().Value()).To(Equal(int64(4)))
			g.Expect(template.Status.Capacity.Memory().Equal(resource.MustParse("8Gi"))).To(BeTrue())
			g.Expect(template.Status.Capacity.StorageEphemeral().Equal(resource.MustParse("60Gi"))).To(BeTrue())
		})
	}
}

func TestATemplateIsWrittenOnce(t *testing.T) {
	g := NewWithT(t)
	template := newTemplate(capstanv1.OSLinux)
	w := newWorld(t, template)
	w.reconcile(t, template)
	w.reconcile(t, template)
	g.Expect(w.writes).To(Equal(1))

	template.Status.Capacity = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("64")}
	g.Expect(w.client.Status().Update(t.Context(), template)).To(Succeed())
	w.reconcile(t, template)
	g.Expect(template.Status.Capacity.Cpu().Value()).To(Equal(int64(4)), "what somebody else wrote is put right")
}

func TestATemplateThatIsGoneIsNoError(t *testing.T) {
	template := newTemplate(capstanv1.OSLinux)
	w := newWorld(t)
	w.reconcile(t, template)
	NewWithT(t).Expect(w.writes).To(BeZero())
}
