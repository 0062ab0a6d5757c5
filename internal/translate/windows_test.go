package translate_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/translate"
)

func windows(p *capstanv1.NodePool) {
	p.Name, p.Spec.OS = "shop-win", capstanv1.OSWindows
}

func TestWindowsNodesAreTaintedUnlessToldOtherwise(t *testing.T) {
	gpu := corev1.Taint{Key: "gpu", Effect: corev1.TaintEffectNoExecute}
	for what, tc := range map[string]struct {
		with []func(*capstanv1.NodePool)
		want []corev1.Taint
	}{
		"Windows, nothing said": {[]func(*capstanv1.NodePool){windows}, []corev1.Taint{{Key: "os", Value: "windows", Effect: corev1.TaintEffectNoSchedule}}},
		"Windows, no taints":    {[]func(*capstanv1.NodePool){windows, withTaints()}, nil},
		"Windows, other taints": {[]func(*capstanv1.NodePool){windows, withTaints(gpu)}, []corev1.Taint{gpu}},
		"Linux, nothing said":   {nil, nil},
		"Linux, other taints":   {[]func(*capstanv1.NodePool){withTaints(gpu)}, []corev1.Taint{gpu}},
	} {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			taints := pool(tc.with...).BootstrapConfig.Spec.Template.Spec.JoinConfiguration.NodeRegistration.Taints
			if tc.want == nil {
				g.Expect(taints).To(BeNil())
				return
			}
			g.Expect(taints).To(HaveValue(Equal(tc.want)))
		})
	}
}

func withTaints(taints ...corev1.Taint) func(*capstanv1.NodePool) {
	return func(p *capstanv1.NodePool) { p.Spec.Taints = append([]corev1.Taint{}, taints...) }
}

func TestWindowsNodesRegisterByTheirOwnMeans(t *testing.T) {
	g := NewWithT(t)
	spec := pool(windows).BootstrapConfig.Spec.Template.Spec
	registration := spec.JoinConfiguration.NodeRegistration
	g.Expect(registration.CRISocket).To(Equal("npipe:////./pipe/containerd-containerd"))
	g.Expect(registration.Name).To(Equal("{{ ds.meta_data.local_hostname }}"))
	g.Expect(spec.PostKubeadmCommands).To(Equal([]string{"sc.exe config kubelet start= auto"}))

	linux := pool().BootstrapConfig.Spec.Template.Spec
	g.Expect(linux.JoinConfiguration.NodeRegistration.CRISocket).To(BeEmpty())
	g.Expect(linux.PostKubeadmCommands).To(BeEmpty())
}

// Cluster API puts five characters for .random.
func TestWindowsMachinesHaveNamesOfComputers(t *testing.T) {
	g := NewWithT(t)
	longest := strings.Repeat("w", translate.MaxWindowsPoolName)
	template := pool(windows, func(p *capstanv1.NodePool) { p.Name = longest }).Machines.Spec.MachineNaming.Template
	name := strings.ReplaceAll(template, "{{ .random }}", "x7k2p")
	g.Expect(name).To(HaveLen(bootstrap.MaxComputerName))
	g.Expect(name).To(HavePrefix(longest + "-"))
	g.Expect(pool().Machines.Spec.MachineNaming.Template).To(BeEmpty())
}

func TestWindowsMachinesAreOfTheirOS(t *testing.T) {
	g := NewWithT(t)
	g.Expect(pool(windows).MachineTemplate.Spec.Template.Spec.OS).To(Equal(capstanv1.OSWindows))
}
