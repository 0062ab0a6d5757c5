package capi

import (
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestTheVersionOfAReferenceFollowsTheContractLabels(t *testing.T) {
	tests := []struct {
		name   string
		labels map[string]string
		want   string
		err    string
	}{
		{
			name:   "the newest version that serves the contract",
			labels: map[string]string{"cluster.x-k8s.io/v1beta2": "v1alpha3_v1beta1_v1alpha10"},
			want:   "infrastructure.cluster.x-k8s.io/v1beta1",
		},
		{
			name:   "a stable version before any beta",
			labels: map[string]string{"cluster.x-k8s.io/v1beta2": "v1_v2beta1"},
			want:   "infrastructure.cluster.x-k8s.io/v1",
		},
		{
			name: "the better contract, though its version is older",
			labels: map[string]string{
				"cluster.x-k8s.io/v1beta1": "v1beta9",
				"cluster.x-k8s.io/v1beta2": "v1alpha1",
			},
			want: "infrastructure.cluster.x-k8s.io/v1alpha1",
		},
		{
			name:   "a provider that knows the old contract only",
			labels: map[string]string{"cluster.x-k8s.io/v1beta1": "v1alpha4"},
			want:   "infrastructure.cluster.x-k8s.io/v1alpha4",
		},
		{
			name:   "a provider of a contract that is not spoken any more",
			labels: map[string]string{"cluster.x-k8s.io/v1alpha4": "v1alpha4", "cluster.x-k8s.io/v1beta2": ""},
			err:    "CRD robots.infrastructure.cluster.x-k8s.io has no contract label of v1beta2 or v1beta1",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := apiVersions(readerOf(g, test.labels))(t.Context(), robot)
			if test.err != "" {
				g.Expect(err).To(MatchError(test.err))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(Equal(test.want))
		})
	}
}

func TestAReferenceToAKindThatIsNotInstalledSaysSo(t *testing.T) {
	g := NewWithT(t)
	nothing := schema.GroupKind{Group: robot.Group, Kind: "Nothing"}
	_, err := apiVersions(readerOf(g, nil))(t.Context(), nothing)
	g.Expect(err).To(MatchError(ContainSubstring("CRD nothings.infrastructure.cluster.x-k8s.io")))
}

var robot = schema.GroupKind{Group: "infrastructure.cluster.x-k8s.io", Kind: "Robot"}

func readerOf(g *WithT, labels map[string]string) client.Reader {
	scheme := runtime.NewScheme()
	g.Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	return fake.NewClientBuilder().WithScheme(scheme).WithObjects(&apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "robots.infrastructure.cluster.x-k8s.io", Labels: labels},
	}).Build()
}
