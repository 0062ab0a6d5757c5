package workloadcluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
	"github.com/capstan-k8s/capstan/internal/kubeversion"
	"github.com/capstan-k8s/capstan/internal/translate"
)

// versionPlan is which version the cluster has or is brought to, and why that is
// not the one that its spec names.
type versionPlan struct {
	effective string
	// queued says what the spec's version waits for. It is empty where that is in
	// effect.
	queued string
}

// decideVersion works out the version in effect.
func (r *Reconciler) decideVersion(ctx context.Context, s *scope) error {
	wanted := s.wlc.Spec.Version
	s.version = versionPlan{effective: wanted}
	key := client.ObjectKey{Namespace: s.wlc.Namespace, Name: translate.ControlPlaneName(s.wlc.Name)}
	present := &controlplanev1.KubeadmControlPlane{}
	switch err := r.Client.Get(ctx, key, present); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("reading KubeadmControlPlane %s: %w", key.Name, err)
	case present.Spec.Version == wanted || !apply.OwnedBy(present, s.wlc.UID):
		return nil
	}
	// Past the cache: a version that it is behind with would be applied again, and
	// take the control plane back.
	if err := r.Live.Get(ctx, key, present); err != nil {
		return fmt.Errorf("reading KubeadmControlPlane %s: %w", key.Name, err)
	}
	var reader client.Reader = r.Client
	if kubeversion.Less(wanted, present.Spec.Version) {
		// So it is with the machine that is the reason why it may go back.
		reader = r.Live
	}
	machines, err := machinesOf(ctx, reader, s.wlc)
	if err != nil {
		return err
	}
	s.version = planVersion(wanted, present, machines)
	return nil
}

// planVersion decides whether the wanted version may take the place of the one
// that the control plane has or is being brought to. Another patch of the same
// minor version always may: all machines stay within the skew that Kubernetes
// supports, and a roll-out whose first machine never comes up must give way to its
// correction. But an older patch is one only while a machine has it that stays:
// afterwards there is nothing to take back, whatever was so when it was asked for. The next minor version may once every machine is at the present one
// or near enough to it. Where nothing ever ran, nothing can be out of step.
func planVersion(wanted string, kcp *controlplanev1.KubeadmControlPlane, machines []clusterv1.Machine) versionPlan {
	present := kcp.Spec.Version
	steps, ok := kubeversion.MinorSteps(present, wanted)
	switch {
	case ok && steps == 0 && goesBack(wanted, kcp, machines):
		return versionPlan{present, fmt.Sprintf("%s is refused: no control-plane machine that stays has a version as old; set spec.version to %s or later", wanted, oldestStaying(kcp, machines))}
	case present == wanted, ok && steps == 0:
		return versionPlan{effective: wanted}
	case !ok || steps < 0:
		return versionPlan{present, fmt.Sprintf("%s is refused: the control plane cannot go back from %s; set spec.version to that or later", wanted, present)}
	case steps > 1:
		return versionPlan{present, fmt.Sprintf("%s is refused: it leaves out a minor version; set spec.version to %s first", wanted, kubeversion.NextMinor(present))}
	case !ptr.Deref(kcp.Status.Initialization.ControlPlaneInitialized, false):
		return versionPlan{effective: wanted}
	case !controlPlaneSettled(kcp):
		return versionPlan{present, fmt.Sprintf("%s is queued: %s", wanted, controlPlaneProgress(kcp, machines))}
	}
	if late := tooOld(machines, wanted); late != nil {
		return versionPlan{present, fmt.Sprintf(
			"%s is queued: %s is at %s, and nodes may be %d minor versions behind the control plane at most: bring them to %s or later",
			wanted, poolOf(late), late.Spec.Version, kubeversion.MaxKubeletSkew, kubeversion.OldestKubelet(wanted))}
	}
	return versionPlan{effective: wanted}
}

// goesBack tells whether a version is older than that of every machine of a control
// plane that ever ran.
func goesBack(wanted string, kcp *controlplanev1.KubeadmControlPlane, machines []clusterv1.Machine) bool {
	return ptr.Deref(kcp.Status.Initialization.ControlPlaneInitialized, false) && kubeversion.Less(wanted, oldestStaying(kcp, machines))
}

// oldestStaying returns the oldest version that a control plane has or is brought to,
// but for its machines that go.
func oldestStaying(kcp *controlplanev1.KubeadmControlPlane, machines []clusterv1.Machine) string {
	versions := []string{kcp.Spec.Version}
	for i := range machines {
		if m := &machines[i]; isControlPlane(m) && m.DeletionTimestamp.IsZero() {
			versions = append(versions, m.Spec.Version)
		}
	}
	return kubeversion.Oldest(versions...)
}

// tooOld returns the oldest worker that an API server of this version would not
// put up with, or nil.
func tooOld(machines []clusterv1.Machine, version string) *clusterv1.Machine {
	var oldest *clusterv1.Machine
	for i := range machines {
		m := &machines[i]
		if isControlPlane(m) || m.Spec.Version == "" || kubeversion.KubeletFits(m.Spec.Version, version) {
			continue
		}
		if oldest == nil || kubeversion.Less(m.Spec.Version, oldest.Spec.Version) {
			oldest = m
		}
	}
	return oldest
}

func poolOf(m *clusterv1.Machine) string {
	if name := m.Labels[capstanv1.NodePoolLabel]; name != "" {
		return "NodePool " + name
	}
	return "Machine " + m.Name
}

func isControlPlane(m *clusterv1.Machine) bool {
	_, is := m.Labels[clusterv1.MachineControlPlaneLabel]
	return is
}

func machinesOf(ctx context.Context, reader client.Reader, wlc *capstanv1.WorkloadCluster) ([]clusterv1.Machine, error) {
	list := &clusterv1.MachineList{}
	if err := reader.List(ctx, list, client.InNamespace(wlc.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: wlc.Name}); err != nil {
		return nil, fmt.Errorf("listing the Machines of Cluster %s: %w", wlc.Name, err)
	}
	slices.SortFunc(list.Items, func(a, b clusterv1.Machine) int { return strings.Compare(a.Name, b.Name) })
	return list.Items, nil
}

// lowestVersion returns the lowest of the versions that the control plane's
// machines have, or "" before there are any.
func lowestVersion(versions []clusterv1.StatusVersion) string {
	all := make([]string, 0, len(versions))
	for _, v := range versions {
		all = append(all, v.Version)
	}
	return kubeversion.Oldest(all...)
}
