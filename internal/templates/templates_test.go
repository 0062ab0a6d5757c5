package templates_test

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/templates"
)

var selector = client.MatchingLabels{capstanv1.NodePoolLabel: "shop-linux"}

func meta(name string, with ...func(*metav1.ObjectMeta)) metav1.ObjectMeta {
	m := metav1.ObjectMeta{
		Namespace: "team", Name: name, Labels: map[string]string{capstanv1.NodePoolLabel: "shop-linux"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "NodePool", Name: "shop-linux", UID: "mine"}},
	}
	for _, modify := range with {
		modify(&m)
	}
	return m
}

func machineTemplate(name string, with ...func(*metav1.ObjectMeta)) client.Object {
	return &infrav1.HyperVMachineTemplate{ObjectMeta: meta(name, with...)}
}

func configTemplate(name string) client.Object {
	return &bootstrapv1.KubeadmConfigTemplate{ObjectMeta: meta(name)}
}

func machineSet(machines, config string) client.Object {
	set := &clusterv1.MachineSet{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "set-" + machines + config}}
	set.Spec.Template.Spec.InfrastructureRef.Name = machines
	set.Spec.Template.Spec.Bootstrap.ConfigRef.Name = config
	return set
}

func machineOf(template string) client.Object {
	return &infrav1.HyperVMachine{ObjectMeta: metav1.ObjectMeta{
		Namespace: "team", Name: "machine-of-" + template, Annotations: map[string]string{clusterv1.TemplateClonedFromNameAnnotation: template},
	}}
}

func TestPruneTakesOnlyWhatNothingRefersTo(t *testing.T) {
	for what, tc := range map[string]struct {
		objects               []client.Object
		keepMachine           string
		keepConfig            string
		wantMachines, wantCfg []string
	}{
		"the present ones stay": {
			objects:     []client.Object{machineTemplate("now"), machineTemplate("old"), configTemplate("cfg-now"), configTemplate("cfg-old")},
			keepMachine: "now", keepConfig: "cfg-now", wantMachines: []string{"now"}, wantCfg: []string{"cfg-now"},
		},
		"what a MachineSet refers to stays": {
			objects:     []client.Object{machineTemplate("now"), machineTemplate("old"), configTemplate("cfg-old"), machineSet("old", "cfg-old")},
			keepMachine: "now", wantMachines: []string{"now", "old"}, wantCfg: []string{"cfg-old"},
		},
		"what a machine was made from stays": {
			objects:     []client.Object{machineTemplate("now"), machineTemplate("old"), machineTemplate("older"), machineOf("old")},
			keepMachine: "now", wantMachines: []string{"now", "old"},
		},
		"what is another owner's stays": {
			objects:     []client.Object{machineTemplate("foreign", func(m *metav1.ObjectMeta) { m.OwnerReferences[0].UID = "another" })},
			keepMachine: "now", wantMachines: []string{"foreign"},
		},
		"what is in another namespace stays": {
			objects:     []client.Object{machineTemplate("there", func(m *metav1.ObjectMeta) { m.Namespace = "elsewhere" })},
			keepMachine: "now", wantMachines: []string{"there"},
		},
		"what is of another pool stays": {
			objects:     []client.Object{machineTemplate("other", func(m *metav1.ObjectMeta) { m.Labels[capstanv1.NodePoolLabel] = "other" })},
			keepMachine: "now", wantMachines: []string{"other"},
		},
		"all goes with its owner": {
			objects: []client.Object{machineTemplate("now"), configTemplate("cfg-now")},
		},
	} {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			for _, add := range []func(*runtime.Scheme) error{infrav1.AddToScheme, bootstrapv1.AddToScheme, clusterv1.AddToScheme} {
				g.Expect(add(scheme)).To(Succeed())
			}
			c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(tc.objects...).Build()
			owner := &metav1.ObjectMeta{Namespace: "team", Name: "shop-linux", UID: "mine"}
			g.Expect(templates.Prune(t.Context(), c, owner, tc.keepMachine, tc.keepConfig, selector)).To(Succeed())

			machines, configs := &infrav1.HyperVMachineTemplateList{}, &bootstrapv1.KubeadmConfigTemplateList{}
			g.Expect(c.List(t.Context(), machines)).To(Succeed())
			g.Expect(c.List(t.Context(), configs)).To(Succeed())
			var gotMachines, gotConfigs []string
			for i := range machines.Items {
				gotMachines = append(gotMachines, machines.Items[i].Name)
			}
			for i := range configs.Items {
				gotConfigs = append(gotConfigs, configs.Items[i].Name)
			}
			g.Expect(gotMachines).To(ConsistOf(tc.wantMachines))
			g.Expect(gotConfigs).To(ConsistOf(tc.wantCfg))
		})
	}
}
