package nodepool

import (
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestPlanVersion(t *testing.T) {
	const settled = "v1.36.4"
	for what, tc := range map[string]struct {
		// spec, target and lowest are the cluster's.
		spec, target, lowest string
		pool, have           string
		want                 versionPlan
		wantErr              string
	}{
		"begins with the version of a cluster that has no machines yet": {
			spec: "v1.36.4", target: "v1.36.4", want: versionPlan{version: "v1.36.4"},
		},
		"begins with the oldest machine's during a roll-out": {
			spec: "v1.36.4", target: "v1.36.4", lowest: "v1.36.3",
			want: waitForControlPlane("v1.36.3", "v1.36.4"),
		},
		"stays during a roll-out": {
			spec: "v1.36.4", target: "v1.36.4", lowest: "v1.36.3", have: "v1.36.3",
			want: waitForControlPlane("v1.36.3", "v1.36.4"),
		},
		"follows once the last machine has it": {
			spec: settled, target: settled, lowest: settled, have: "v1.36.3", want: versionPlan{version: settled},
		},
		"follows over several minor versions at once, since nodes are replaced": {
			spec: settled, target: settled, lowest: settled, have: "v1.34.1", want: versionPlan{version: settled},
		},
		"follows to what is in effect, not to what is queued": {
			spec: "v1.37.0", target: settled, lowest: settled, have: "v1.36.3",
			want: waitForControlPlane(settled, "v1.37.0"),
		},
		"is not taken back when the cluster is": {
			spec: "v1.36.3", target: "v1.36.3", lowest: "v1.36.3", have: "v1.36.4",
			want: versionPlan{version: "v1.36.4"},
		},
		"is held by a version of its own": {
			spec: settled, target: settled, lowest: settled, pool: "v1.36.3", have: "v1.36.3", want: versionPlan{version: "v1.36.3"},
		},
		"is held by a version of its own, three minor versions behind": {
			spec: settled, target: settled, lowest: settled, pool: "v1.33.9", have: "v1.33.9", want: versionPlan{version: "v1.33.9"},
		},
		"begins with a version of its own": {
			spec: settled, target: settled, lowest: settled, pool: "v1.36.3", want: versionPlan{version: "v1.36.3"},
		},
		"goes back to an older patch, if that is its own": {
			spec: settled, target: settled, lowest: settled, pool: "v1.36.3", have: "v1.36.4", want: versionPlan{version: "v1.36.3"},
		},
		"waits for the control plane with a version ahead of it": {
			spec: "v1.37.0", target: "v1.37.0", lowest: settled, pool: "v1.37.0", have: settled,
			want: waitForControlPlane(settled, "v1.37.0"),
		},
		"begins behind a version ahead of the control plane": {
			spec: "v1.37.0", target: "v1.37.0", lowest: settled, pool: "v1.37.0",
			want: waitForControlPlane(settled, "v1.37.0"),
		},
		"is not brought where no node can join": {
			spec: settled, target: settled, lowest: settled, pool: "v1.35.0", have: "v1.34.1",
			want: versionPlan{"v1.34.1", capstanv1.ReasonInvalidSpec, "no node at v1.35.0 could join the control plane at v1.36.4: set spec.version to a patch of that minor version, or leave it out"},
		},
		"does not begin where no node can join": {
			spec: settled, target: settled, lowest: settled, pool: "v1.35.0",
			wantErr: "no node at v1.35.0 could join the control plane at v1.36.4: set spec.version to a patch of that minor version, or leave it out",
		},
	} {
		t.Run(what, func(t *testing.T) {
			g := NewWithT(t)
			cluster := &capstanv1.WorkloadCluster{
				Spec:   capstanv1.WorkloadClusterSpec{Version: tc.spec},
				Status: capstanv1.WorkloadClusterStatus{Version: tc.lowest, TargetVersion: tc.target},
			}
			plan, err := planVersion(&capstanv1.NodePool{Spec: capstanv1.NodePoolSpec{Version: tc.pool}}, cluster, tc.have)
			if tc.wantErr != "" {
				g.Expect(err).To(MatchError(tc.wantErr))
				g.Expect(reasonOf(err)).To(Equal(capstanv1.ReasonInvalidSpec))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(plan).To(Equal(tc.want))
		})
	}
}

func TestAPoolThatIsBehindSaysWhatItCannotDo(t *testing.T) {
	g := NewWithT(t)
	cluster := &capstanv1.WorkloadCluster{Status: capstanv1.WorkloadClusterStatus{Version: "v1.36.4"}}
	g.Expect(lag("v1.35.9", cluster)).To(Equal("at v1.35.9 none can be added or repaired, since nodes join the control plane in its own minor version only: raise spec.version to v1.36.4"))
	g.Expect(lag("v1.36.0", cluster)).To(BeEmpty())
	g.Expect(lag("v1.36.0", &capstanv1.WorkloadCluster{})).To(BeEmpty(), "nothing is known yet")
}
