package metrics

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func hostWith(name, cluster string, volumes ...capstanv1.HostVolume) *capstanv1.HyperVHost {
	h := &capstanv1.HyperVHost{ObjectMeta: metav1.ObjectMeta{Name: name}}
	h.Status.FailoverCluster, h.Status.Volumes = cluster, volumes
	return h
}

func volumeOf(name, provisioned, fault string) capstanv1.HostVolume {
	return capstanv1.HostVolume{
		Name: name, Capacity: resource.MustParse("1000"), Free: resource.MustParse("700"),
		Provisioned: resource.MustParse(provisioned), Fault: fault,
	}
}

func TestAVolumeIsToldOfOnceHoweverManyHostsSeeIt(t *testing.T) {
	b := newBench(t)
	silent := hostWith("hv1", "fc1", volumeOf("csv1", "999", ""))
	answers := hostWith("hv2", "fc1", volumeOf("csv1", "250", ""), volumeOf("csv2", "1500", ""), volumeOf("csv3", "0", "NoAccess"))
	answers.Status.Conditions = []metav1.Condition{condition(capstanv1.AgentConnectedCondition, metav1.ConditionTrue, "Connected", noon)}
	b.follow(t, true, silent, answers, hostWith("hv3", "", volumeOf("csv1", "100", "")))

	b.Expect(b.values("capstan_volume_provisioned_bytes")).To(Equal(map[string]float64{
		"fc1  csv1": 250, "fc1  csv2": 1500, "fc1  csv3": 0, "hv3 csv1": 100,
	}))
	b.Expect(b.values("capstan_volume_free_bytes")).To(HaveLen(4))
	b.Expect(b.values("capstan_volume_capacity_bytes")).To(HaveKeyWithValue("hv3 csv1", 1000.0))
	b.Expect(b.values("capstan_volume_skew_ratio")).To(HaveLen(2))
	b.Expect(b.values("capstan_volume_skew_ratio")).To(ContainElement(1.25),
		"a volume that takes no disks makes no skew")
}
