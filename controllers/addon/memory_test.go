package addon

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestNothingIsKnownOfAClusterThatIsMadeAgain(t *testing.T) {
	g := NewWithT(t)
	var known memory
	key := client.ObjectKey{Namespace: "team", Name: "shop"}
	first := made{workloadCluster: "a", cluster: "b"}
	known.set(key, first, "cni", applied{revision: "r"})
	g.Expect(known.of(key, first, "cni").revision).To(Equal("r"))
	g.Expect(known.of(key, made{workloadCluster: "a", cluster: "c"}, "cni").revision).To(BeEmpty())
	g.Expect(known.of(key, first, "cni").revision).To(BeEmpty(), "the first is no more")
}

func TestWhatWasAppliedToAnEarlierClusterIsNotToldOfALaterOne(t *testing.T) {
	born := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		scope    scope
		told     time.Time
		revision string
	}{
		"the same cluster":  {scope{cluster: madeAt(born)}, born.Add(time.Second), "r"},
		"an earlier one":    {scope{cluster: madeAt(born)}, born.Add(-time.Second), ""},
		"none at this time": {scope{}, born, ""},
	} {
		t.Run(name, func(t *testing.T) {
			status := &capstanv1.AddonStatus{Name: "cni", Revision: "r", Conditions: []metav1.Condition{
				{Type: capstanv1.ReadyCondition, LastTransitionTime: metav1.NewTime(c.told)},
			}}
			NewWithT(t).Expect(c.scope.known(status).Revision).To(Equal(c.revision))
		})
	}
}

func madeAt(at time.Time) *clusterv1.Cluster {
	c := &clusterv1.Cluster{}
	c.CreationTimestamp = metav1.NewTime(at)
	return c
}
