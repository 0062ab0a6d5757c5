package guest

import (
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// write encodes once and writes many times. A disk that is gone belongs to a
// machine that is being deleted.
func (c *cluster) write(disks []disk, data etcdData) {
	if len(disks) == 0 {
		return
	}
	encoded, err := json.Marshal(data)
	if err != nil {
		c.runtime.Log.Error(err, "Cannot encode a workload cluster", "cluster", c.key.ca[:12])
		return
	}
	for _, d := range disks {
		if err := d.writeRaw(etcdFile, encoded); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.runtime.Log.Error(err, "Cannot write a workload cluster to the disk of a member", "cluster", c.key.ca[:12])
		}
	}
}

// newID makes an ID for a member or a cluster. etcd's are never zero.
func newID() uint64 {
	for {
		if id := rand.Uint64(); id != 0 { //nolint:gosec // An identifier, not a secret.
			return id
		}
	}
}

// addMember adds a member that has not run yet. The same address gets the same
// member again, so that a machine may ask twice.
func (c *cluster) addMember(address string) (*member, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.majority() {
		return nil, status.Error(codes.Unavailable, errNoMajority.Error())
	}
	for _, m := range c.members {
		if m.Address != address {
			continue
		}
		if m.Started {
			return nil, status.Error(codes.FailedPrecondition, "etcdserver: Peer URLs already exists")
		}
		return m, nil
	}
	m := &member{ID: newID(), Address: address}
	c.members = append(c.members, m)
	c.markDirty()
	return m, nil
}

// removeMember removes a member for good. It is refused where etcd's strict
// reconfiguration check refuses it: if the rest would have no majority.
func (c *cluster) removeMember(id uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.majority() {
		return status.Error(codes.Unavailable, errNoMajority.Error())
	}
	i := c.index(id)
	if i < 0 {
		return status.Error(codes.NotFound, "etcdserver: member not found")
	}
	m := c.members[i]
	voting, running := c.votes()
	if m.Started {
		voting--
		if m.running {
			running--
		}
		if running <= voting/2 {
			return status.Error(codes.FailedPrecondition, "etcdserver: re-configuration failed due to not enough started members")
		}
	}
	c.members = append(c.members[:i], c.members[i+1:]...)
	c.elect()
	c.markDirty()
	return nil
}

// moveLeader hands the leadership to a running member.
func (c *cluster) moveLeader(from, to uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.majority() {
		return status.Error(codes.Unavailable, errNoMajority.Error())
	}
	if c.leader != from {
		return status.Error(codes.FailedPrecondition, "etcdserver: not leader")
	}
	i := c.index(to)
	if i < 0 || !c.members[i].running || !c.members[i].Started {
		return status.Error(codes.FailedPrecondition, "etcdserver: bad leader transferee")
	}
	c.leader = to
	c.markDirty()
	return nil
}
