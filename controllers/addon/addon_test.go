package addon_test

import (
	"context"
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

const (
	settings = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {colour: red}\n"
	account  = "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: web, namespace: kube-system}\n"
)

func settingsIn(namespace string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: named(namespace, "settings")}
}

var _ = Describe("The addons of a cluster", func() {
	It("cost a cluster that has none nothing", func(ctx SpecContext) {
		idle := newSite(ctx)
		busy := newSite(ctx, withFlannel)
		busy.expectAddon(ctx, "cni", metav1.ConditionTrue, "Ready", "")
		Expect(remote.timesAsked(client.ObjectKeyFromObject(idle.wlc))).To(BeZero())
		Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(idle.wlc), idle.wlc)).To(Succeed())
		Expect(idle.wlc.Status.Conditions).NotTo(ContainElement(HaveField("Type", capstanv1.AddonsReadyCondition)))
	})

	It("begin with Flannel, for the cluster's own pod network", func(ctx SpecContext) {
		s := newSite(ctx, withFlannel, func(c *cluster) { c.Spec.ClusterNetwork.PodCIDRs = []string{"10.9.0.0/16"} })
		status := s.expectAddon(ctx, "cni", metav1.ConditionTrue, "Ready", "6 objects applied and well")
		Expect(status.Revision).NotTo(BeEmpty())
		config := &corev1.ConfigMap{ObjectMeta: named("kube-flannel", "kube-flannel-cfg")}
		Expect(s.has(ctx, config)()).To(BeTrue())
		Expect(config.Data["net-conf.json"]).To(ContainSubstring("10.9.0.0/16"))
		daemons := &appsv1.DaemonSet{ObjectMeta: named("kube-flannel", "kube-flannel-ds")}
		Expect(s.has(ctx, daemons)()).To(BeTrue())
		Expect(daemons.ManagedFields).To(ContainElement(And(HaveField("Manager", capstanv1.FieldOwner), HaveField("Operation", metav1.ManagedFieldsOperationApply))))
		env.ExpectCondition(ctx, s.wlc, capstanv1.AddonsReadyCondition, metav1.ConditionTrue, "Ready", Equal("1 addon applied and well"))
		Eventually(func() []string { return heard.Reasons(s.wlc.UID) }).WithContext(ctx).Should(ContainElement("Ready"))
	})

	It("are applied as soon as the cluster answers", func(ctx SpecContext) {
		s := unreachable(ctx, withFlannel)
		s.expectAddon(ctx, "cni", metav1.ConditionFalse, "WaitingForControlPlane", "waiting for the cluster's API server to answer")
		env.ExpectCondition(ctx, s.wlc, capstanv1.AddonsReadyCondition, metav1.ConditionFalse, "WaitingForControlPlane", MatchRegexp("cni: waiting .*, since 20.*Z"))
		s.connect(simulatedAPI())
		s.expectAddon(ctx, "cni", metav1.ConditionTrue, "Ready", "")
	})

	It("wait for their ConfigMap, and follow it", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("app"))
		s.expectAddon(ctx, "app", metav1.ConditionFalse, "WaitingForConfigMap", "waiting for ConfigMap app")
		s.manifests(ctx, "app", settings)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "1 object")
		s.rewrite(ctx, "app", settings+"---\n"+account)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "2 objects")
		Expect(s.has(ctx, &corev1.ServiceAccount{ObjectMeta: named("kube-system", "web")})()).To(BeTrue())
	})

	It("can be kube-proxy for Windows nodes, from the manifest that is shipped", func(ctx SpecContext) {
		manifest, err := os.ReadFile("../../images/windows/kube-proxy.yaml")
		Expect(err).NotTo(HaveOccurred())
		s := newSite(ctx, withManifests("kube-proxy-windows"))
		s.manifests(ctx, "kube-proxy-windows", string(manifest))
		s.expectAddon(ctx, "kube-proxy-windows", metav1.ConditionTrue, "Ready", "1 object")
		daemons := &appsv1.DaemonSet{ObjectMeta: named("kube-system", "kube-proxy-windows")}
		Expect(s.has(ctx, daemons)()).To(BeTrue())
		Expect(daemons.Spec.Template.Spec.NodeSelector).To(Equal(map[string]string{"kubernetes.io/os": "windows"}))
	})

	It("are in the namespace that the spec says if they do not say one", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("plain", "placed"), func(c *cluster) { c.Spec.Addons.Manifests[1].Namespace = "kube-system" })
		s.manifests(ctx, "plain", settings)
		s.manifests(ctx, "placed", settings+"---\n"+account)
		s.expectAddon(ctx, "placed", metav1.ConditionTrue, "Ready", "")
		Expect(s.has(ctx, settingsIn("default"))()).To(BeTrue())
		Expect(s.has(ctx, settingsIn("kube-system"))()).To(BeTrue())
	})

	It("lose what leaves their manifests, and nothing else", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("app"))
		kept := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: kept, annotations: {cli-utils.sigs.k8s.io/on-remove: keep}}\n"
		taken := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: taken}\n"
		s.manifests(ctx, "app", account+"---\n"+settings+kept+taken)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "4 objects")
		// Somebody makes one his own.
		other := &corev1.ConfigMap{ObjectMeta: named("default", "taken")}
		Expect(s.Get(ctx, client.ObjectKeyFromObject(other), other)).To(Succeed())
		Expect(s.Delete(ctx, other)).To(Succeed())
		Expect(s.Create(ctx, &corev1.ConfigMap{ObjectMeta: named("default", "taken")})).To(Succeed())
		s.rewrite(ctx, "app", account)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "1 object")
		Eventually(s.has(ctx, settingsIn("default"))).WithContext(ctx).Should(BeFalse())
		Expect(s.has(ctx, &corev1.ConfigMap{ObjectMeta: named("default", "kept")})()).To(BeTrue())
		Expect(s.has(ctx, &corev1.ConfigMap{ObjectMeta: named("default", "taken")})()).To(BeTrue())
	})

	It("go when they leave the spec", func(ctx SpecContext) {
		s := newSite(ctx, withFlannel, withManifests("app"))
		s.manifests(ctx, "app", settings)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "")
		testenv.Update(ctx, env, s.wlc, func(c *cluster) { c.Spec.Addons = capstanv1.Addons{} })
		s.expectNoAddons(ctx)
		Expect(s.has(ctx, settingsIn("default"))()).To(BeFalse())
		Expect(s.has(ctx, &corev1.Namespace{ObjectMeta: named("", "kube-flannel")})()).To(BeFalse())
		Expect(s.has(ctx, &rbacv1.ClusterRole{ObjectMeta: named("", "flannel")})()).To(BeFalse())
		left := &corev1.ConfigMapList{}
		Expect(s.List(ctx, left, client.HasLabels{"capstan.dev/addon-inventory"})).To(Succeed())
		Expect(left.Items).To(BeEmpty())
		Eventually(func() []string { return heard.Reasons(s.wlc.UID) }).WithContext(ctx).Should(ContainElement("Removed"))
	})

	It("keep their objects when they are renamed", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("old"))
		s.manifests(ctx, "old", settings)
		s.manifests(ctx, "new", settings)
		s.expectAddon(ctx, "old", metav1.ConditionTrue, "Ready", "")
		before := settingsIn("default")
		Expect(s.has(ctx, before)()).To(BeTrue())
		testenv.Update(ctx, env, s.wlc, withManifests("new"))
		s.expectAddon(ctx, "new", metav1.ConditionTrue, "Ready", "")
		Eventually(func(g Gomega) {
			g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(s.wlc), s.wlc)).To(Succeed())
			g.Expect(s.wlc.Status.Addons).To(HaveLen(1))
		}).WithContext(ctx).Should(Succeed())
		after := settingsIn("default")
		Expect(s.has(ctx, after)()).To(BeTrue())
		Expect(after.UID).To(Equal(before.UID))
	})

	It("do not touch what they did not make, until it is given to them", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("app"))
		theirs := settingsIn("default")
		theirs.Data = map[string]string{"colour": "blue"}
		Expect(s.Create(ctx, theirs)).To(Succeed())
		s.manifests(ctx, "app", settings)
		s.expectAddon(ctx, "app", metav1.ConditionFalse, "NotOwned", "ConfigMap default/settings exists in the cluster and was not made by Capstan")
		Expect(s.has(ctx, theirs)()).To(BeTrue())
		Expect(theirs.Data).To(HaveKeyWithValue("colour", "blue"))

		given := theirs.DeepCopy()
		given.Labels = map[string]string{capstanv1.AddonLabel: "app"}
		Expect(s.Patch(ctx, given, client.MergeFrom(theirs))).To(Succeed())
		s.rewrite(ctx, "app", settings+"# again\n---\n"+account)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "")
		Expect(s.has(ctx, theirs)()).To(BeTrue())
		Expect(theirs.Data).To(HaveKeyWithValue("colour", "red"))
	})

	It("do not fight over an object", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("one", "two"))
		s.manifests(ctx, "one", settings)
		s.manifests(ctx, "two", settings)
		s.expectAddon(ctx, "two", metav1.ConditionFalse, "NotOwned", "ConfigMap default/settings is of addon one: it can be in one addon only")
		s.expectAddon(ctx, "one", metav1.ConditionTrue, "Ready", "")
	})

	It("are mended when somebody changes or deletes them", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("app"))
		s.manifests(ctx, "app", settings+"---\n"+account)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "")
		changed := settingsIn("default")
		Expect(s.has(ctx, changed)()).To(BeTrue())
		changed.Data["colour"] = "green"
		Expect(s.Update(ctx, changed)).To(Succeed())
		Expect(s.Delete(ctx, &corev1.ServiceAccount{ObjectMeta: named("kube-system", "web")})).To(Succeed())
		Eventually(func(g Gomega) {
			now := settingsIn("default")
			g.Expect(s.has(ctx, now)()).To(BeTrue())
			g.Expect(now.Data).To(HaveKeyWithValue("colour", "red"))
			g.Expect(s.has(ctx, &corev1.ServiceAccount{ObjectMeta: named("kube-system", "web")})()).To(BeTrue())
		}).WithContext(ctx).Should(Succeed())
	})

	DescribeTable("stay as they were while their manifests cannot be applied",
		func(ctx SpecContext, text, reason, says string) {
			s := newSite(ctx, withManifests("app"))
			s.manifests(ctx, "app", settings)
			s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "")
			s.rewrite(ctx, "app", text)
			s.expectAddon(ctx, "app", metav1.ConditionFalse, reason, says)
			Expect(s.has(ctx, settingsIn("default"))()).To(BeTrue())
			s.rewrite(ctx, "app", account)
			s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "")
		},
		Entry("no YAML", "a: b: c", "InvalidManifests", "ConfigMap app, key all.yaml, document 1: is no YAML"),
		Entry("an unknown kind", "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: a}\n", "WaitingForKind", "example.org/v1, Kind=Widget"),
		Entry("a namespace where none belongs", "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, namespace: b}\n", "ManifestsRejected", "Namespace b/a has a namespace"),
		Entry("a namespace that is not there", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: nowhere}\n", "ManifestsRejected", `"nowhere" not found`),
	)

	It("are told of as removed only when they are", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("app"))
		s.manifests(ctx, "app", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, finalizers: [example.org/held]}\n---\n"+account)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "")
		testenv.Update(ctx, env, s.wlc, func(c *cluster) { c.Spec.Addons = capstanv1.Addons{} })
		s.expectAddon(ctx, "app", metav1.ConditionFalse, "Deleting", "removing: waiting for ConfigMap default/settings to be gone")
		held := settingsIn("default")
		Expect(s.has(ctx, held)()).To(BeTrue())
		held.Finalizers = nil
		Expect(s.Update(ctx, held)).To(Succeed())
		s.expectNoAddons(ctx)
	})

	It("are not led astray by what only looks like an inventory", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("app"))
		fake := func(name, label, text string) {
			Expect(s.Create(ctx, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, Labels: map[string]string{"capstan.dev/addon-inventory": label}},
				Data:       map[string]string{"objects.json": text},
			})).To(Succeed())
		}
		precious := settingsIn("default")
		Expect(s.Create(ctx, precious)).To(Succeed())
		fake("capstan-addon-forged", "forged", `[{"kind": "ConfigMap", "namespace": "default", "name": "settings"}]`)
		fake("capstan-addon-broken", "broken", "nonsense")
		fake("capstan-addon-BAD", "BAD", "[]")
		fake("other", "app", `[{"kind": "Namespace", "name": "default"}]`)
		s.manifests(ctx, "app", account)
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "")
		s.expectAddon(ctx, "broken", metav1.ConditionFalse, "ManifestsRejected", "ConfigMap kube-system/capstan-addon-broken: reading the inventory")
		Eventually(s.has(ctx, &corev1.ConfigMap{ObjectMeta: named("kube-system", "capstan-addon-forged")})).WithContext(ctx).Should(BeFalse())
		Expect(s.has(ctx, precious)()).To(BeTrue())
		Expect(s.wlc.Status.Addons).NotTo(ContainElement(HaveField("Name", "BAD")))
		Expect(s.Delete(ctx, &corev1.ConfigMap{ObjectMeta: named("kube-system", "capstan-addon-broken")})).To(Succeed())
		Eventually(func(g Gomega) {
			g.Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(s.wlc), s.wlc)).To(Succeed())
			g.Expect(s.wlc.Status.Addons).To(HaveLen(1))
		}).WithContext(ctx).Should(Succeed())
	})

	It("are applied anew, and not told of as ready before, when the cluster is made again", func(ctx SpecContext) {
		s := newSite(ctx, withFlannel)
		s.expectAddon(ctx, "cni", metav1.ConditionTrue, "Ready", "")
		remote.set(client.ObjectKeyFromObject(s.wlc), nil)
		Expect(env.Client.Delete(ctx, &clusterv1.Cluster{ObjectMeta: named(s.namespace, "shop")})).To(Succeed())
		remote.set(client.ObjectKeyFromObject(s.wlc), nil)
		s.expectAddon(ctx, "cni", metav1.ConditionFalse, "WaitingForControlPlane", "waiting for the cluster to be made")
		Expect(s.wlc.Status.Addons).To(ConsistOf(HaveField("Revision", BeEmpty())))
		s.makeCluster(ctx)
		s.connect(simulatedAPI())
		s.expectAddon(ctx, "cni", metav1.ConditionTrue, "Ready", "6 objects applied and well")
		Expect(s.has(ctx, &corev1.Namespace{ObjectMeta: named("", "kube-flannel")})()).To(BeTrue())
	})

	It("stand still while the cluster is paused", func(ctx SpecContext) {
		s := newSite(ctx, withManifests("app"), func(c *cluster) { c.Spec.Paused = true })
		s.manifests(ctx, "app", settings)
		Consistently(s.has(ctx, settingsIn("default"))).WithContext(ctx).Should(BeFalse())
		testenv.Update(ctx, env, s.wlc, func(c *cluster) { c.Spec.Paused = false })
		s.expectAddon(ctx, "app", metav1.ConditionTrue, "Ready", "")
	})

	It("hold up no deletion", func(ctx SpecContext) {
		s := unreachable(ctx, withFlannel)
		s.expectAddon(ctx, "cni", metav1.ConditionFalse, "WaitingForControlPlane", "")
		Expect(s.wlc.Finalizers).To(BeEmpty())
		Expect(env.Client.Delete(ctx, s.wlc)).To(Succeed())
		env.ExpectGone(ctx, s.wlc)
	})
})

// deployment is one whose pods nobody starts in the real API server of the suite.
func deployment(name string) string {
	return "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: " + name + "}\nspec: {replicas: 1, selector: {matchLabels: {app: a}}, " +
		"template: {metadata: {labels: {app: a}}, spec: {containers: [{name: a, image: a}]}}}\n"
}

var _ = Describe("The addons of a cluster with a real API server", func() {
	settle := func(ctx context.Context, s *site, namespace, name string) {
		GinkgoHelper()
		d := &appsv1.Deployment{ObjectMeta: named(namespace, name)}
		Expect(s.Get(ctx, client.ObjectKeyFromObject(d), d)).To(Succeed())
		d.Status = appsv1.DeploymentStatus{
			ObservedGeneration: d.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1,
			Conditions: []appsv1.DeploymentCondition{
				{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue},
				{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable"},
			},
		}
		Expect(s.Status().Update(ctx, d)).To(Succeed())
	}

	It("are begun when those before them are well", func(ctx SpecContext) {
		s := newRealSite(ctx, withManifests("first", "second"), func(c *cluster) {
			for i := range c.Spec.Addons.Manifests {
				c.Spec.Addons.Manifests[i].Namespace = c.Namespace
			}
		})
		s.manifests(ctx, "first", deployment("first"))
		s.manifests(ctx, "second", settings)
		s.expectAddon(ctx, "first", metav1.ConditionFalse, "WaitingForHealth", "waiting for Deployment "+s.namespace+"/first: ")
		s.expectAddon(ctx, "second", metav1.ConditionFalse, "WaitingForAddons", "waiting for addon first")
		Expect(s.has(ctx, settingsIn(s.namespace))()).To(BeFalse())
		settle(ctx, s, s.namespace, "first")
		s.expectAddon(ctx, "second", metav1.ConditionTrue, "Ready", "")
		s.expectAddon(ctx, "first", metav1.ConditionTrue, "Ready", "")
		testenv.Update(ctx, env, s.wlc, withManifests())
		s.expectNoAddons(ctx)
	})

	It("do not wait for one that asks for no more than to be applied", func(ctx SpecContext) {
		s := newRealSite(ctx, withManifests("lazy", "next"), func(c *cluster) {
			c.Spec.Addons.Manifests[0].NextWhen = capstanv1.AddonApplied
			for i := range c.Spec.Addons.Manifests {
				c.Spec.Addons.Manifests[i].Namespace = c.Namespace
			}
		})
		s.manifests(ctx, "lazy", deployment("lazy"))
		s.manifests(ctx, "next", settings)
		s.expectAddon(ctx, "next", metav1.ConditionTrue, "Ready", "")
		s.expectAddon(ctx, "lazy", metav1.ConditionFalse, "WaitingForHealth", "")
		env.ExpectCondition(ctx, s.wlc, capstanv1.AddonsReadyCondition, metav1.ConditionFalse, "WaitingForHealth", HavePrefix("lazy: waiting for Deployment"))
		testenv.Update(ctx, env, s.wlc, withManifests())
		s.expectNoAddons(ctx)
	})

	It("may define kinds and use them at once", func(ctx SpecContext) {
		s := newRealSite(ctx, withManifests("widgets"))
		s.manifests(ctx, "widgets", "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: a}\nspec: {size: 3}\n---\n"+
			"apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.org}\nspec: {group: example.org, scope: Namespaced, "+
			"names: {kind: Widget, plural: widgets}, versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]}\n")
		s.expectAddon(ctx, "widgets", metav1.ConditionTrue, "Ready", "2 objects")
		testenv.Update(ctx, env, s.wlc, withManifests())
		s.expectNoAddons(ctx)
	})

	It("tell what the API server refuses", func(ctx SpecContext) {
		s := newRealSite(ctx, withManifests("bad"))
		s.manifests(ctx, "bad", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: -1}\n")
		s.expectAddon(ctx, "bad", metav1.ConditionFalse, "ManifestsRejected", "applying Deployment default/a: ")
		s.rewrite(ctx, "bad", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {replicas: many}\n")
		s.expectAddon(ctx, "bad", metav1.ConditionFalse, "ManifestsRejected", "applying Deployment default/a: ")
	})

	It("bring a Flannel that the API server takes", func(ctx SpecContext) {
		s := newRealSite(ctx, withFlannel)
		s.expectAddon(ctx, "cni", metav1.ConditionFalse, "WaitingForHealth", "DaemonSet kube-flannel/kube-flannel-ds")
		daemons := &appsv1.DaemonSet{ObjectMeta: named("kube-flannel", "kube-flannel-ds")}
		Expect(s.has(ctx, daemons)()).To(BeTrue())
		generation := daemons.Generation
		// Applied again and again it stays the same.
		first := daemons.ResourceVersion
		Consistently(func(g Gomega) {
			g.Expect(s.has(ctx, daemons)()).To(BeTrue())
			g.Expect(daemons.ResourceVersion).To(Equal(first))
		}).WithTimeout(resync * 3 / 2).WithContext(ctx).Should(Succeed())
		Expect(daemons.Generation).To(Equal(generation))
	})
})
