package translate_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/translate"
)

func TestABootDiskThatNobodyChoseForThePoolHoldsItsImage(t *testing.T) {
	chosen := func(p *capstanv1.NodePool) {
		p.Spec.Size = &capstanv1.MachineSize{CPUs: 8, Memory: resource.MustParse("8Gi"), BootDisk: resource.MustParse("50Gi")}
	}
	autoscaled := func(p *capstanv1.NodePool) { p.Spec.Replicas, p.Spec.Autoscaling = nil, &capstanv1.Autoscaling{Max: 3} }
	for what, tc := range map[string]struct {
		with  []func(*capstanv1.NodePool)
		image string
		want  string
	}{
		"an image that fits the default":           {nil, "20Gi", "40Gi"},
		"an image that is as large as the default": {nil, "40Gi", "40Gi"},
		"an image that is larger than the default": {[]func(*capstanv1.NodePool){windows}, "48Gi", "48Gi"},
		"a size of the pool's own":                 {[]func(*capstanv1.NodePool){windows, chosen}, "48Gi", "50Gi"},
		"an autoscaler that asks for it":           {[]func(*capstanv1.NodePool){windows, autoscaled}, "48Gi", "48Gi"},
	} {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			wlc := newCluster()
			wlc.Spec.NodePoolDefaults.Size = capstanv1.MachineSize{CPUs: 2, Memory: resource.MustParse("4Gi"), BootDisk: resource.MustParse("40Gi")}
			objects := translate.NodePool(wlc, newPool(tc.with...), "v1.36.3", translate.NodeImage{Name: "image", Size: resource.MustParse(tc.image)})
			made := objects.MachineTemplate.Spec.Template.Spec
			g.Expect(made.Size.BootDisk.String()).To(Equal(tc.want))
			g.Expect(made.Image).To(Equal("image"))
			if told, is := objects.Machines.Annotations["capacity.cluster-autoscaler.kubernetes.io/ephemeral-disk"]; is {
				g.Expect(told).To(Equal(tc.want))
			}
			g.Expect(wlc.Spec.NodePoolDefaults.Size.BootDisk.String()).To(Equal("40Gi"), "what others have stays")
		})
	}
}
