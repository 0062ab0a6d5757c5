package translate_test

import (
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8slabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/translate"
)

var now = translate.InEffect{Version: "v1.36.3", ControlPlaneImage: "linux", LoadBalancerImage: "lb"}

func newCluster(with ...func(*capstanv1.WorkloadCluster)) *capstanv1.WorkloadCluster {
	size := capstanv1.MachineSize{CPUs: 2, Memory: resource.MustParse("4Gi"), BootDisk: resource.MustParse("40Gi")}
	c := &capstanv1.WorkloadCluster{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: "shop", UID: "wlc-uid",
			Labels:      map[string]string{"app.kubernetes.io/instance": "gitops", "kustomize.toolkit.fluxcd.io/name": "apps"},
			Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "apps:capstan.dev/WorkloadCluster:team/shop", "kubectl.kubernetes.io/last-applied-configuration": "{}"},
		},
		Spec: capstanv1.WorkloadClusterSpec{
			Version: "v1.36.3", LogicalNetwork: "lan",
			ControlPlane:     capstanv1.ControlPlaneSpec{Replicas: ptr.To[int32](3), Size: size},
			Endpoint:         capstanv1.EndpointSpec{Port: 6443},
			ClusterNetwork:   capstanv1.ClusterNetwork{PodCIDRs: []string{"10.244.0.0/16"}, ServiceCIDRs: []string{"10.96.0.0/16"}, ServiceDomain: "cluster.local"},
			NodePoolDefaults: capstanv1.NodePoolDefaults{Size: size},
		},
	}
	for _, modify := range with {
		modify(c)
	}
	return c
}

func newPool(with ...func(*capstanv1.NodePool)) *capstanv1.NodePool {
	minutes := func(n int) metav1.Duration { return metav1.Duration{Duration: time.Duration(n) * time.Minute} }
	p := &capstanv1.NodePool{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "team", Name: "shop-linux", UID: "pool-uid",
			Labels: map[string]string{"app.kubernetes.io/instance": "gitops"}, Annotations: map[string]string{"argocd.argoproj.io/tracking-id": "x"},
		},
		Spec: capstanv1.NodePoolSpec{
			ClusterName: "shop", Replicas: ptr.To[int32](3), OS: capstanv1.OSLinux,
			Rollout: capstanv1.Rollout{DrainTimeout: minutes(10), VolumeDetachTimeout: minutes(5), DeletionTimeout: minutes(1)},
		},
	}
	for _, modify := range with {
		modify(p)
	}
	return p
}

func pool(with ...func(*capstanv1.NodePool)) translate.PoolObjects {
	return translate.NodePool(newCluster(), newPool(with...), "v1.36.3", translate.NodeImage{Name: "linux"})
}

func TestNamesReferToEachOther(t *testing.T) {
	g := NewWithT(t)
	wlc := newCluster()
	cluster, infra := translate.Cluster(wlc), translate.HyperVCluster(wlc, now)
	controlPlane, template := translate.ControlPlane(wlc, now)
	g.Expect(cluster.Name).To(Equal("shop"))
	g.Expect(cluster.Spec.InfrastructureRef.Name).To(Equal(infra.Name))
	g.Expect(cluster.Spec.ControlPlaneRef.Name).To(Equal(controlPlane.Name))
	g.Expect(controlPlane.Name).To(Equal("shop-control-plane"))
	g.Expect(template.Name).To(MatchRegexp(`^shop-control-plane-[0-9a-f]{8}$`))
	g.Expect(controlPlane.Spec.MachineTemplate.Spec.InfrastructureRef.Name).To(Equal(template.Name))

	objects := pool()
	g.Expect(objects.Machines.Name).To(Equal("shop-linux"))
	g.Expect(objects.HealthCheck.Name).To(Equal("shop-linux"))
	g.Expect(objects.MachineTemplate.Name).To(MatchRegexp(`^shop-linux-[0-9a-f]{8}$`))
	g.Expect(objects.BootstrapConfig.Name).To(MatchRegexp(`^shop-linux-[0-9a-f]{8}$`))
	g.Expect(objects.Machines.Spec.Template.Spec.InfrastructureRef.Name).To(Equal(objects.MachineTemplate.Name))
	g.Expect(objects.Machines.Spec.Template.Spec.Bootstrap.ConfigRef.Name).To(Equal(objects.BootstrapConfig.Name))
	g.Expect(objects.HealthCheck.Spec.Selector).To(Equal(objects.Machines.Spec.Selector))
	for k, v := range objects.Machines.Spec.Selector.MatchLabels {
		g.Expect(objects.Machines.Spec.Template.Labels).To(HaveKeyWithValue(k, v))
	}
}

// A name that changes rolls machines, so it must change with what a machine is
// made of and with nothing else.
func TestMachineTemplateIsNamedByContent(t *testing.T) {
	name := func(with ...func(*capstanv1.WorkloadCluster)) string {
		_, template := translate.ControlPlane(newCluster(with...), now)
		return template.Name
	}
	for what, tc := range map[string]struct {
		change func(*capstanv1.WorkloadCluster)
		rolls  bool
	}{
		"the same memory, written otherwise": {func(c *capstanv1.WorkloadCluster) { c.Spec.ControlPlane.Size.Memory = resource.MustParse("4096Mi") }, false},
		"the same disk, written otherwise":   {func(c *capstanv1.WorkloadCluster) { c.Spec.ControlPlane.Size.BootDisk = resource.MustParse("40960Mi") }, false},
		"replicas":                           {func(c *capstanv1.WorkloadCluster) { c.Spec.ControlPlane.Replicas = ptr.To[int32](5) }, false},
		"the load balancer":                  {func(c *capstanv1.WorkloadCluster) { c.Spec.LoadBalancer.Replicas = ptr.To[int32](3) }, false},
		"labels":                             {func(c *capstanv1.WorkloadCluster) { c.Labels["x"] = "y" }, false},
		"the UID, as after a restore":        {func(c *capstanv1.WorkloadCluster) { c.UID = "other" }, false},
		"memory":                             {func(c *capstanv1.WorkloadCluster) { c.Spec.ControlPlane.Size.Memory = resource.MustParse("4097Mi") }, true},
		"cpus":                               {func(c *capstanv1.WorkloadCluster) { c.Spec.ControlPlane.Size.CPUs = 4 }, true},
		"guest settings":                     {func(c *capstanv1.WorkloadCluster) { c.Spec.GuestSettings.NTPServers = []string{"ntp.example.org"} }, true},
	} {
		t.Run(what, func(t *testing.T) {
			rolled := name(tc.change) != name()
			NewWithT(t).Expect(rolled).To(Equal(tc.rolls))
		})
	}
}

func TestPoolTemplatesAreNamedByContent(t *testing.T) {
	for what, tc := range map[string]struct {
		change                     func(*capstanv1.NodePool)
		newMachines, newBootstraps bool
	}{
		"replicas":                               {func(p *capstanv1.NodePool) { p.Spec.Replicas = ptr.To[int32](9) }, false, false},
		"own size":                               {func(p *capstanv1.NodePool) { p.Spec.Size = &capstanv1.MachineSize{CPUs: 8} }, true, false},
		"node labels, which reach running nodes": {func(p *capstanv1.NodePool) { p.Spec.Labels = map[string]string{"tier": "web"} }, false, false},
		"node annotations, which reach running nodes": {func(p *capstanv1.NodePool) { p.Spec.Annotations = map[string]string{"tier": "web"} }, false, false},
		"autoscaling": {func(p *capstanv1.NodePool) {
			p.Spec.Replicas, p.Spec.Autoscaling = nil, &capstanv1.Autoscaling{Min: 1, Max: 5}
		}, false, false},
		"taints": {func(p *capstanv1.NodePool) {
			p.Spec.Taints = []corev1.Taint{{Key: "gpu", Effect: corev1.TaintEffectNoSchedule}}
		}, false, true},
		"a label that Cluster API sets on running nodes": {func(p *capstanv1.NodePool) {
			p.Spec.Labels = map[string]string{"node-role.kubernetes.io/worker": ""}
		}, false, false},
	} {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			before, after := pool(), pool(tc.change)
			newMachines := after.MachineTemplate.Name != before.MachineTemplate.Name
			newBootstraps := after.BootstrapConfig.Name != before.BootstrapConfig.Name
			g.Expect(newMachines).To(Equal(tc.newMachines))
			g.Expect(newBootstraps).To(Equal(tc.newBootstraps))
		})
	}
}

func TestEveryChildBelongsToItsMakerAndBearsOnlyOurMetadata(t *testing.T) {
	wlc := newCluster()
	controlPlane, template := translate.ControlPlane(wlc, now)
	objects := pool()
	const viaClusterAPI = false
	for kind, tc := range map[string]struct {
		obj        client.Object
		owner      types.UID
		controller bool
	}{
		"Cluster":                          {translate.Cluster(wlc), "wlc-uid", true},
		"HyperVCluster":                    {translate.HyperVCluster(wlc, now), "wlc-uid", viaClusterAPI},
		"KubeadmControlPlane":              {controlPlane, "wlc-uid", viaClusterAPI},
		"HyperVMachineTemplate":            {template, "wlc-uid", viaClusterAPI},
		"the control plane's health check": {translate.ControlPlaneHealthCheck(wlc), "wlc-uid", true},
		"MachineDeployment":                {objects.Machines, "pool-uid", true},
		"MachineHealthCheck":               {objects.HealthCheck, "pool-uid", true},
		"KubeadmConfigTemplate":            {objects.BootstrapConfig, "pool-uid", viaClusterAPI},
		"HyperVMachineTemplate for a pool": {objects.MachineTemplate, "pool-uid", viaClusterAPI},
	} {
		t.Run(kind, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(tc.obj.GetNamespace()).To(Equal("team"))
			g.Expect(tc.obj.GetOwnerReferences()).To(HaveLen(1))
			ref := tc.obj.GetOwnerReferences()[0]
			g.Expect(ref.UID).To(Equal(tc.owner))
			g.Expect(ptr.Deref(ref.Controller, false)).To(Equal(tc.controller), "Cluster API makes itself the controller of the others")
			g.Expect(tc.obj.GetAnnotations()).To(BeEmpty())
			g.Expect(tc.obj.GetLabels()).To(HaveKeyWithValue(clusterv1.ClusterNameLabel, "shop"))
			for key := range tc.obj.GetLabels() {
				g.Expect([]string{clusterv1.ClusterNameLabel, capstanv1.WorkloadClusterLabel, capstanv1.NodePoolLabel}).To(ContainElement(key))
			}
			g.Expect(tc.obj.GetObjectKind().GroupVersionKind().Empty()).To(BeFalse(), "server-side apply needs it")
		})
	}
}

func TestHealthChecksSelectTheMachinesOfTheirOwnAlone(t *testing.T) {
	labels := func(cluster string, more ...string) map[string]string {
		all := map[string]string{clusterv1.ClusterNameLabel: cluster, capstanv1.WorkloadClusterLabel: cluster}
		for i := 0; i < len(more); i += 2 {
			all[more[i]] = more[i+1]
		}
		return all
	}
	member, worker := labels("shop", clusterv1.MachineControlPlaneLabel, ""), labels("shop", capstanv1.NodePoolLabel, "shop-linux")
	for what, tc := range map[string]struct {
		check *clusterv1.MachineHealthCheck
		of    map[string]string
		not   []map[string]string
	}{
		"the control plane's": {
			translate.ControlPlaneHealthCheck(newCluster()), member,
			[]map[string]string{worker, labels("shop2", clusterv1.MachineControlPlaneLabel, "")},
		},
		"a pool's": {
			pool().HealthCheck, worker,
			[]map[string]string{member, labels("shop", capstanv1.NodePoolLabel, "shop-windows"), labels("shop2", capstanv1.NodePoolLabel, "shop-linux")},
		},
	} {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			selector, err := metav1.LabelSelectorAsSelector(&tc.check.Spec.Selector)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(selector.Matches(k8slabels.Set(tc.of))).To(BeTrue())
			for _, other := range tc.not {
				g.Expect(selector.Matches(k8slabels.Set(other))).To(BeFalse(), "%v", other)
			}
			g.Expect(tc.check.Spec.ClusterName).To(Equal("shop"))
			g.Expect(tc.check.Spec.Checks.UnhealthyMachineConditions).To(BeEmpty(), "what is not known of a VM says nothing of its node")
			g.Expect(tc.check.Spec.Checks).To(Equal(pool().HealthCheck.Spec.Checks), "one patience for all")
		})
	}
}

func TestNoTimeoutIsUnlimited(t *testing.T) {
	for what, tc := range map[string]struct {
		given time.Duration
		want  int32
	}{
		"a fraction is rounded up": {1500 * time.Millisecond, 2},
		"a minute":                 {time.Minute, 60},
		"an instant":               {time.Nanosecond, 1},
		"nothing given":            {0, 1},
		"a negative time":          {-time.Hour, 1},
		"longer than can be said":  {200 * 365 * 24 * time.Hour, 2147483647},
	} {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			d := metav1.Duration{Duration: tc.given}
			deletion := pool(func(p *capstanv1.NodePool) {
				p.Spec.Rollout = capstanv1.Rollout{DrainTimeout: d, VolumeDetachTimeout: d, DeletionTimeout: d}
			}).Machines.Spec.Template.Spec.Deletion
			g.Expect(deletion.NodeDrainTimeoutSeconds).To(HaveValue(Equal(tc.want)))
			g.Expect(deletion.NodeVolumeDetachTimeoutSeconds).To(HaveValue(Equal(tc.want)))
			g.Expect(deletion.NodeDeletionTimeoutSeconds).To(HaveValue(Equal(tc.want)))
		})
	}
	g := NewWithT(t)
	controlPlane, _ := translate.ControlPlane(newCluster(), now)
	for _, seconds := range []*int32{
		controlPlane.Spec.MachineTemplate.Spec.Deletion.NodeDrainTimeoutSeconds,
		controlPlane.Spec.MachineTemplate.Spec.Deletion.NodeVolumeDetachTimeoutSeconds,
		controlPlane.Spec.MachineTemplate.Spec.Deletion.NodeDeletionTimeoutSeconds,
	} {
		g.Expect(seconds).To(HaveValue(BeNumerically(">", 0)))
	}
}

func TestAPoolIsNeverRepairedAllAtOnce(t *testing.T) {
	for replicas, most := range map[int]int{1: 1, 2: 1, 3: 2, 10: 5} {
		g := NewWithT(t)
		limit := pool(func(p *capstanv1.NodePool) { p.Spec.Replicas = ptr.To(int32(replicas)) }).Machines.Spec.Remediation.MaxInFlight
		g.Expect(intstr.GetScaledValueFromIntOrPercent(limit, replicas, true)).To(Equal(most), "of %d", replicas)
	}
}

func TestLoadBalancersAreTwoUnlessToldOtherwise(t *testing.T) {
	for what, tc := range map[string]struct {
		controlPlane, said *int32
		want               int32
	}{
		"one member":          {ptr.To[int32](1), nil, 2},
		"three members":       {ptr.To[int32](3), nil, 2},
		"the default of 3":    {nil, nil, 2},
		"said, whatever else": {ptr.To[int32](1), ptr.To[int32](3), 3},
		"one is said":         {ptr.To[int32](3), ptr.To[int32](1), 1},
	} {
		t.Run(what, func(t *testing.T) {
			infra := translate.HyperVCluster(newCluster(func(c *capstanv1.WorkloadCluster) {
				c.Spec.ControlPlane.Replicas, c.Spec.LoadBalancer.Replicas = tc.controlPlane, tc.said
			}), now)
			NewWithT(t).Expect(infra.Spec.LoadBalancer.Replicas).To(HaveValue(Equal(tc.want)))
		})
	}
}

func TestEndpointReachesEveryPlaceThatNeedsIt(t *testing.T) {
	g := NewWithT(t)
	wlc := newCluster(func(c *capstanv1.WorkloadCluster) {
		c.Spec.Endpoint = capstanv1.EndpointSpec{Port: 8443, DNSName: "shop.example.org"}
	})
	controlPlane, _ := translate.ControlPlane(wlc, now)
	config := controlPlane.Spec.KubeadmConfigSpec
	g.Expect(translate.Cluster(wlc).Spec.ClusterNetwork.APIServerPort).To(Equal(int32(8443)))
	g.Expect(translate.HyperVCluster(wlc, now).Spec.LoadBalancer.Port).To(Equal(int32(8443)))
	g.Expect(config.InitConfiguration.LocalAPIEndpoint.BindPort).To(Equal(int32(8443)))
	g.Expect(config.JoinConfiguration.ControlPlane.LocalAPIEndpoint.BindPort).To(Equal(int32(8443)))
	g.Expect(config.ClusterConfiguration.APIServer.CertSANs).To(Equal([]string{"shop.example.org"}))

	without, _ := translate.ControlPlane(newCluster(), now)
	g.Expect(without.Spec.KubeadmConfigSpec.ClusterConfiguration.APIServer.CertSANs).To(BeEmpty())
}

func TestKubeletIsToldWhoItIs(t *testing.T) {
	g := NewWithT(t)
	registration := pool(func(p *capstanv1.NodePool) {
		p.Spec.Labels = map[string]string{
			"zeta": "1", "alpha": "2", "example.org/middle": "3",
			"node-role.kubernetes.io/worker": "", "node-restriction.kubernetes.io/team": "shop", "topology.kubernetes.io/zone": "a",
		}
		p.Spec.Taints = []corev1.Taint{{Key: "b", Effect: corev1.TaintEffectNoSchedule}, {Key: "a", Effect: corev1.TaintEffectNoExecute}}
	}).BootstrapConfig.Spec.Template.Spec.JoinConfiguration.NodeRegistration
	g.Expect(registration.Name).To(Equal("{{ ds.meta_data.local_hostname }}"))
	g.Expect(registration.KubeletExtraArgs).To(Equal([]bootstrapv1.Arg{
		{Name: "provider-id", Value: ptr.To("hyperv://{{ ds.meta_data.instance_id }}")},
		{Name: "node-labels", Value: ptr.To("alpha=2,example.org/middle=3,topology.kubernetes.io/zone=a,zeta=1")},
	}), "labels in a fixed order, without those that a kubelet may not set itself")
	g.Expect(*registration.Taints).To(HaveExactElements(HaveField("Key", "b"), HaveField("Key", "a")), "as the user ordered them")
}

func TestEveryLabelIsSetByWhoMaySetIt(t *testing.T) {
	for key, want := range map[string]translate.NodeLabelSetter{
		"tier":                                      translate.SetByKubelet,
		"example.org/tier":                          translate.SetByKubelet,
		"topology.kubernetes.io/zone":               translate.SetByKubelet,
		"node.kubernetes.io/anything":               translate.SetByKubelet,
		"x.kubelet.kubernetes.io/anything":          translate.SetByKubelet,
		"mykubernetes.io/tier":                      translate.SetByKubelet,
		"node-role.kubernetes.io/worker":            translate.SetByClusterAPI,
		"shop.node-restriction.kubernetes.io/x":     translate.SetByClusterAPI,
		"node.cluster.x-k8s.io/x":                   translate.SetByClusterAPI,
		"kubernetes.io/hostname":                    translate.SetAsItIs,
		"kubernetes.io/os":                          translate.SetAsItIs,
		"cluster.x-k8s.io/cluster-name":             translate.SetForItself,
		"topology.cluster.x-k8s.io/owned":           translate.SetForItself,
		"node-role.kubernetes.io/control-plane":     translate.SetForItself,
		"node-role.kubernetes.io/master":            translate.SetForItself,
		"capstan.dev/node-pool":                     translate.SetForItself,
		"machine-template-hash":                     translate.SetForItself,
		"kubernetes.io/made-up":                     translate.SetByNobody,
		"foo.k8s.io/bar":                            translate.SetByNobody,
		"sub.node-role.kubernetes.io/not-a-role-of": translate.SetByNobody,
	} {
		t.Run(key, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(translate.SetterOf(key)).To(Equal(want))
			objects := pool(func(p *capstanv1.NodePool) { p.Spec.Labels = map[string]string{key: "v"} })
			keptByClusterAPI := objects.Machines.Spec.Template.Labels[key] == "v"
			g.Expect(keptByClusterAPI).To(Equal(want == translate.SetByKubelet || want == translate.SetByClusterAPI))
			told := bootstrapv1.Arg{Name: "node-labels", Value: ptr.To(key + "=v")}
			args := objects.BootstrapConfig.Spec.Template.Spec.JoinConfiguration.NodeRegistration.KubeletExtraArgs
			g.Expect(slices.ContainsFunc(args, func(a bootstrapv1.Arg) bool { return a.Name == told.Name && *a.Value == *told.Value })).
				To(Equal(want == translate.SetByKubelet))
		})
	}
}

func TestPoolSizeDefaultsToTheClusters(t *testing.T) {
	g := NewWithT(t)
	g.Expect(pool().MachineTemplate.Spec.Template.Spec.Size.CPUs).To(Equal(int32(2)))
	own := pool(func(p *capstanv1.NodePool) { p.Spec.Size = &capstanv1.MachineSize{CPUs: 8} })
	g.Expect(own.MachineTemplate.Spec.Template.Spec.Size.CPUs).To(Equal(int32(8)))
}

func TestInputIsNotChanged(t *testing.T) {
	g := NewWithT(t)
	wlc, p := newCluster(), newPool()
	wlcBefore, poolBefore := wlc.DeepCopy(), p.DeepCopy()
	translate.Cluster(wlc)
	translate.HyperVCluster(wlc, now).Spec.LoadBalancer.Image = "changed"
	translate.ControlPlane(wlc, now)
	translate.NodePool(wlc, p, "v1.36.3", translate.NodeImage{Name: "linux"}).Machines.Spec.Template.Labels["x"] = "y"
	g.Expect(wlc).To(Equal(wlcBefore))
	g.Expect(p).To(Equal(poolBefore))
}
