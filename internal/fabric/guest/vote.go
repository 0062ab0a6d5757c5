package guest

import "github.com/capstan-k8s/capstan/internal/fabric/fabricapi"

// vote is the seat of a machine in a cluster of etcd.
type vote struct {
	cluster *cluster
	member  uint64
}

// Electorate is the cluster of etcd in which the guest has a vote now, and nil where it
// has none: it is no member, or one that was removed.
func (g *Guest) Electorate() *fabricapi.Electorate {
	v := g.vote.Load()
	if v == nil {
		return nil
	}
	c := v.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	i := c.index(v.member)
	if i < 0 || !c.members[i].running || !c.members[i].Started {
		return nil
	}
	out := &fabricapi.Electorate{Cluster: c.key.ca[:12]}
	out.Voting, out.Running = c.votes()
	return out
}
