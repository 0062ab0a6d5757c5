package v1alpha1

import "k8s.io/apimachinery/pkg/api/meta"

// IsOut tells whether the host cannot read the volume. One that is redirected it can, and
// maintenance is somebody's own doing, who knows when it ends.
func (v *HostVolume) IsOut() bool {
	return v.Fault == "NoAccess" || v.Fault == "Dismounted"
}

// StorageScope names what shares volumes: a failover cluster, or a host that stands
// alone.
func StorageScope(failoverCluster, host string) string {
	if failoverCluster != "" {
		return "cluster/" + failoverCluster
	}
	return "host/" + host
}

// StorageReporters chooses for each scope the one host whose report of the volumes
// counts, since all members of a failover cluster report the same: one that answers,
// if any does.
func StorageReporters(hosts []HyperVHost) map[string]*HyperVHost {
	reporters := map[string]*HyperVHost{}
	answers := func(h *HyperVHost) bool {
		return meta.IsStatusConditionTrue(h.Status.Conditions, AgentConnectedCondition)
	}
	for i := range hosts {
		h := &hosts[i]
		scope := StorageScope(h.Status.FailoverCluster, h.Name)
		best := reporters[scope]
		if best == nil || answers(h) && !answers(best) || answers(h) == answers(best) && h.Name < best.Name {
			reporters[scope] = h
		}
	}
	return reporters
}
