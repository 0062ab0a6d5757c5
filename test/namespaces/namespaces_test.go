package namespaces

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/fullstack"
)

var options = fullstack.AddFlags(".namespaces")

const (
	patience = 4 * time.Minute
	interval = 250 * time.Millisecond
)

func TestNamespacesWithClustersOfOneName(t *testing.T) {
	o := *options
	o.Manifests, o.Hosts, o.Patience = "../story/testdata", 3, patience
	w := &world{World: fullstack.Start(t, o)}
	g := NewWithT(t)
	auditor, err := w.Env.NewAuditor(w.Ctx)
	g.Expect(err).NotTo(HaveOccurred())
	for _, file := range []string{"network.yaml", "image.yaml"} {
		w.Kubectl(g, "apply", "-f", filepath.Join(w.Manifests, file))
	}

	for _, chapter := range []struct {
		title string
		tell  func(*testing.T, *world)
	}{
		{"clusters of one name do not meet", doNotMeet},
		{"a protected one keeps its namespace", keepsItsNamespace},
		{"a namespace goes with all that is in it, and the neighbour stays", neighbourStays},
		{"a namespace goes while a cluster is being made", goesInTheMaking},
		{"a namespace goes that others were deleted from by hand", goesHalfDeleted},
	} {
		if !t.Run(chapter.title, func(t *testing.T) { chapter.tell(t, w) }) {
			w.explain(t)
			return
		}
	}
	for _, file := range []string{"network.yaml", "image.yaml"} {
		w.Kubectl(g, "delete", "-f", filepath.Join(w.Manifests, file))
	}
	g.Expect(auditor.WaitClean(w.Ctx, patience)).To(Succeed())
}

func doNotMeet(t *testing.T, w *world) {
	t.Helper()
	g := NewWithT(t)
	for _, namespace := range []string{"team-a", "team-b"} {
		w.begin(g, namespace)
	}
	endpoints, vms := map[string]bool{}, map[string]bool{}
	for _, namespace := range []string{"team-a", "team-b"} {
		w.awaitReady(g, namespace)
		cluster := w.cluster(g, namespace)
		g.Expect(endpoints).NotTo(HaveKey(cluster.Status.Endpoint.Host))
		endpoints[cluster.Status.Endpoint.Host] = true
		list := &capstanv1.VirtualMachineList{}
		g.Expect(w.API.List(w.Ctx, list, client.InNamespace(namespace))).To(Succeed())
		for i := range list.Items {
			g.Expect(vms).NotTo(HaveKey(list.Items[i].Spec.ID))
			vms[list.Items[i].Spec.ID] = true
		}
	}
	reserved := &capstanv1.AddressReservationList{}
	g.Expect(w.API.List(w.Ctx, reserved)).To(Succeed())
	ofVIPs := slices.DeleteFunc(reserved.Items, func(r capstanv1.AddressReservation) bool { return r.Spec.ClaimRef.Name != name+"-vip" })
	g.Expect(ofVIPs).To(HaveLen(4), "an address and a virtual router ID for each")
	g.Expect(w.nodes(g, "team-a")).To(HaveLen(2))
	g.Expect(w.nodes(g, "team-b")).To(HaveLen(2))
	g.Expect(w.nodes(g, "team-a")).NotTo(ContainElements(w.nodes(g, "team-b")))
}

func keepsItsNamespace(t *testing.T, w *world) {
	t.Helper()
	g := NewWithT(t)
	protect := func(is string) {
		w.Kubectl(g, "-n", "team-a", "patch", "wlc", name, "--type=merge", "-p", `{"spec":{"deletionProtection":`+is+`}}`)
	}
	protect("true")
	tryToDelete := func() error {
		return w.API.Delete(w.Ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team-a"}}, client.DryRunAll)
	}
	g.Eventually(tryToDelete).WithTimeout(patience).Should(MatchError(ContainSubstring("is protected from deletion")))
	for _, args := range [][]string{
		{"delete", "namespace", "team-a"},
		{"-n", "team-a", "delete", "wlc", name},
		{"-n", "team-a", "delete", "cluster", name},
	} {
		_, err := w.Env.RunKubectl(w.Ctx, args...)
		g.Expect(err).To(MatchError(ContainSubstring("set spec.deletionProtection to false first")), "%v", args)
	}
	g.Expect(w.cluster(g, "team-a").DeletionTimestamp).To(BeNil())
	protect("false")
	g.Eventually(tryToDelete).WithTimeout(patience).Should(Succeed())
}

func neighbourStays(t *testing.T, w *world) {
	t.Helper()
	g := NewWithT(t)
	before := w.nodes(g, "team-b")
	w.remove(t, "team-a")
	g.Expect(w.nodes(g, "team-b")).To(Equal(before))
	w.awaitReady(g, "team-b")
	w.remove(t, "team-b")
}

// goesInTheMaking begins with the deletion once the first VM is known by its host.
func goesInTheMaking(t *testing.T, w *world) {
	t.Helper()
	g := NewWithT(t)
	w.begin(g, "team-c")
	g.Eventually(func() ([]capstanv1.VirtualMachine, error) {
		list := &capstanv1.VirtualMachineList{}
		err := w.API.List(w.Ctx, list, client.InNamespace("team-c"))
		return list.Items, err
	}).WithTimeout(patience).WithPolling(interval).Should(ContainElement(HaveField("Status.Host", Not(BeEmpty()))))
	w.remove(t, "team-c")
}

// goesHalfDeleted deletes the pool first, and the namespace while its machines go.
func goesHalfDeleted(t *testing.T, w *world) {
	t.Helper()
	g := NewWithT(t)
	w.begin(g, "team-d")
	w.awaitReady(g, "team-d")
	w.Kubectl(g, "-n", "team-d", "delete", "--wait=false", "np", pool)
	w.remove(t, "team-d")
}

// remove deletes a namespace and waits until it is gone.
func (w *world) remove(t *testing.T, namespace string) {
	t.Helper()
	g := NewWithT(t)
	began := time.Now()
	w.Kubectl(g, "delete", "--wait=false", "namespace", namespace)
	g.Eventually(func() bool {
		n := &corev1.Namespace{}
		return apierrors.IsNotFound(w.API.Get(w.Ctx, client.ObjectKey{Name: namespace}, n))
	}).WithTimeout(patience).WithPolling(interval).Should(BeTrue(), "namespace %s is still there", namespace)
	t.Logf("namespace %s was gone after %.1f s", namespace, time.Since(began).Seconds())
	left := &capstanv1.AddressReservationList{}
	g.Expect(w.API.List(w.Ctx, left)).To(Succeed())
	g.Expect(left.Items).NotTo(ContainElement(HaveField("Spec.ClaimRef.Namespace", namespace)))
}
