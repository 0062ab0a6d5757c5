package capi_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// asking is a webhook server that notes about which objects each webhook was asked.
type asking struct {
	webhook.Server

	mu    sync.Mutex
	times map[question]int
}

// question is a webhook, and the object that it is asked about.
type question struct {
	path string
	key  client.ObjectKey
}

// Register implements webhook.Server.
func (a *asking) Register(path string, hook http.Handler) {
	a.Server.Register(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		review := &admissionv1.AdmissionReview{}
		// Conversions are asked in the same way, and are not noted.
		if err == nil && json.Unmarshal(body, review) == nil && review.Request != nil {
			a.note(question{path, client.ObjectKey{Namespace: review.Request.Namespace, Name: review.Request.Name}})
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		hook.ServeHTTP(w, r)
	}))
}

func (a *asking) note(q question) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.times == nil {
		a.times = map[question]int{}
	}
	a.times[q]++
}

// calls returns how often a webhook was asked about an object.
func (a *asking) calls(path string, object client.Object) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.times[question{path, client.ObjectKeyFromObject(object)}]
}

var owner = metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: "a", UID: "a"}

// No reconciler touches these objects: nothing owns the KubeadmConfig, and the
// Machine's Cluster does not exist.
var _ = Describe("Admission of an update", func() {
	expectAsked := func(ctx SpecContext, object client.Object, path string, change func(), times int) {
		GinkgoHelper()
		Expect(k8s.Create(ctx, object)).To(Succeed())
		before := asked.calls(path, object)
		Expect(before).To(Equal(1), "it was asked about what is made")
		patch := client.MergeFrom(object.DeepCopyObject().(client.Object))
		change()
		Expect(k8s.Patch(ctx, object, patch)).To(Succeed())
		Expect(asked.calls(path, object) - before).To(Equal(times))
	}

	DescribeTable("of a KubeadmConfig", func(ctx SpecContext, change func(*bootstrapv1.KubeadmConfig), times int) {
		config := &bootstrapv1.KubeadmConfig{ObjectMeta: metav1.ObjectMeta{
			Namespace: newNamespace(ctx), Name: "a", Labels: map[string]string{"kept": "y"},
		}}
		config.Spec.PreKubeadmCommands = []string{"true"}
		expectAsked(ctx, config, "/validate-bootstrap-cluster-x-k8s-io-v1beta2-kubeadmconfig", func() { change(config) }, times)
	},
		Entry("does not ask about finalizers", func(c *bootstrapv1.KubeadmConfig) { c.Finalizers = []string{"test/hold"} }, 0),
		Entry("does not ask about owners", func(c *bootstrapv1.KubeadmConfig) { c.OwnerReferences = []metav1.OwnerReference{owner} }, 0),
		Entry("does not ask about nothing", func(*bootstrapv1.KubeadmConfig) {}, 0),
		Entry("asks about another value in the spec", func(c *bootstrapv1.KubeadmConfig) { c.Spec.PreKubeadmCommands[0] = "false" }, 1),
		Entry("asks about a field that was not there", func(c *bootstrapv1.KubeadmConfig) { c.Spec.PostKubeadmCommands = []string{"true"} }, 1),
		Entry("asks about a spec that goes", func(c *bootstrapv1.KubeadmConfig) { c.Spec = bootstrapv1.KubeadmConfigSpec{} }, 1),
		Entry("asks about a label", func(c *bootstrapv1.KubeadmConfig) { c.Labels["x"] = "y" }, 1),
		Entry("asks about labels that go", func(c *bootstrapv1.KubeadmConfig) { c.Labels = nil }, 1),
		Entry("asks about annotations", func(c *bootstrapv1.KubeadmConfig) { c.Annotations = map[string]string{"x": "y"} }, 1),
	)

	DescribeTable("of a Machine", func(ctx SpecContext, change func(*clusterv1.Machine), times int) {
		for _, path := range []string{"/mutate-cluster-x-k8s-io-v1beta2-machine", "/validate-cluster-x-k8s-io-v1beta2-machine"} {
			template := newMachineDeployment(newNamespace(ctx)).Spec.Template.Spec
			template.Bootstrap = clusterv1.Bootstrap{DataSecretName: &owner.Name}
			template.InfrastructureRef.Kind = "TestMachine"
			machine := &clusterv1.Machine{ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(ctx), Name: "a"}, Spec: template}
			expectAsked(ctx, machine, path, func() { change(machine) }, times)
		}
	},
		Entry("does not ask about finalizers", func(m *clusterv1.Machine) { m.Finalizers = []string{"test/hold"} }, 0),
		Entry("asks about owners, which tell whether it needs bootstrap data", func(m *clusterv1.Machine) { m.OwnerReferences = []metav1.OwnerReference{owner} }, 1),
		Entry("asks about the spec", func(m *clusterv1.Machine) { m.Spec.Version = "v1.36.4" }, 1),
	)

	It("is asked of addresses and their claims only for what it may refuse", func(ctx SpecContext) {
		const ofClaims, ofAddresses = "/validate-ipam-cluster-x-k8s-io-v1beta2-ipaddressclaim", "/validate-ipam-cluster-x-k8s-io-v1beta2-ipaddress"
		pool := ipamv1.IPPoolReference{APIGroup: "example.org", Kind: "Pool", Name: "a"}
		meta := metav1.ObjectMeta{Namespace: newNamespace(ctx), Name: "a"}
		claim := &ipamv1.IPAddressClaim{ObjectMeta: meta, Spec: ipamv1.IPAddressClaimSpec{PoolRef: pool}}
		Expect(k8s.Create(ctx, claim)).To(Succeed())
		address := &ipamv1.IPAddress{ObjectMeta: meta, Spec: ipamv1.IPAddressSpec{
			ClaimRef: ipamv1.IPAddressClaimReference{Name: "a"}, PoolRef: pool, Address: "nonsense", Prefix: ptr.To[int32](24),
		}}
		Expect(k8s.Create(ctx, address.DeepCopy())).To(MatchError(ContainSubstring("not a valid IP address")))
		address.Spec.Address = "10.0.0.1"
		Expect(k8s.Create(ctx, address)).To(Succeed())
		Expect(asked.calls(ofAddresses, address)).To(Equal(2))

		for _, object := range []client.Object{claim, address} {
			object.SetFinalizers([]string{"test/hold"})
			Expect(k8s.Update(ctx, object)).To(Succeed())
		}
		Expect(asked.calls(ofAddresses, address)).To(Equal(2))
		Expect(asked.calls(ofClaims, claim)).To(BeZero())

		other := claim.DeepCopy()
		other.Spec.PoolRef.Name = "b"
		Expect(k8s.Update(ctx, other)).To(MatchError(ContainSubstring("IPAddressClaim spec is immutable")))
		moved := address.DeepCopy()
		moved.Spec.Address = "10.0.0.2"
		Expect(k8s.Update(ctx, moved)).To(MatchError(ContainSubstring("IPAddress spec is immutable")))

		for _, object := range []client.Object{claim, address} {
			object.SetFinalizers(nil)
			Expect(k8s.Update(ctx, object)).To(Succeed())
			Expect(k8s.Delete(ctx, object)).To(Succeed())
		}
		Expect(asked.calls(ofAddresses, address)).To(Equal(3))
		Expect(asked.calls(ofClaims, claim)).To(Equal(1))
	})
})
