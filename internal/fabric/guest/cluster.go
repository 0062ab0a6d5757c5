package guest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/kubeapi"
)

// clusterKey tells clusters apart: by their CA, and by the etcd cluster, since a
// second kubeadm init with the same CA makes a second cluster.
type clusterKey struct {
	ca   string
	etcd uint64
}

func keyOf(ca *authority, etcd uint64) clusterKey {
	sum := sha256.Sum256(ca.cert.Raw)
	return clusterKey{ca: hex.EncodeToString(sum[:]), etcd: etcd}
}

// cluster is a workload cluster of which at least one member is powered on: its
// etcd members, and the store that they would replicate among them.
type cluster struct {
	runtime *Runtime
	key     clusterKey
	store   *kubeapi.Store
	cancel  context.CancelFunc
	done    chan struct{}
	dirty   chan struct{}

	mu      sync.Mutex
	members []*member
	leader  uint64
	// formed tells that there has been a majority since the cluster is in memory:
	// what is in memory is then newer than any disk.
	formed bool
	// loaded is the revision of the disk that the store was filled from.
	loaded uint64
}

// member is an etcd member.
type member struct {
	ID      uint64 `json:"id"`
	Name    string `json:"name"`
	Address string `json:"address"`
	// Started tells that it has been running once. Until then it has no vote, as
	// a learner.
	Started bool `json:"started"`

	disk    disk
	running bool
}

// etcdData is an etcd member's data, in the file etcdFile of its disk.
type etcdData struct {
	Cluster uint64           `json:"cluster"`
	Leader  uint64           `json:"leader"`
	Members []*member        `json:"members"`
	Content kubeapi.Snapshot `json:"content"`
}

const etcdFile = "etcd.json"

var (
	errNoMajority = errors.New("etcdserver: no leader")
	errRemoved    = errors.New("etcdserver: the member has been permanently removed from the cluster")
)

// found makes a new cluster of one member.
func (r *Runtime) found(key clusterKey, m member, d disk) error {
	m.Started = true
	return d.write(etcdFile, etcdData{Cluster: key.etcd, Leader: m.ID, Members: []*member{&m}})
}

// attach powers on a member with what is on its disk. The cluster comes into
// memory with its first one. A member that was added and has never run has
// nothing on its disk: it gets everything from the others.
func (r *Runtime) attach(key clusterKey, id uint64, name string, d disk) (*cluster, error) {
	var data etcdData
	known, err := d.read(etcdFile, &data)
	if err != nil {
		return nil, fmt.Errorf("etcd: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	c := r.clusters[key]
	if c == nil {
		if !known {
			return nil, errors.New("etcd: no other member answers, and there is no data on the disk")
		}
		c = newCluster(r, key)
		r.clusters[key] = c
		ctx, cancel := context.WithCancel(context.Background())
		c.cancel = cancel
		go c.maintain(ctx)
	}
	if err := c.join(id, name, d, data, known); err != nil {
		if c.idle() {
			r.drop(c)
		}
		return nil, err
	}
	return c, nil
}

func newCluster(r *Runtime, key clusterKey) *cluster {
	c := &cluster{runtime: r, key: key, dirty: make(chan struct{}, 1), done: make(chan struct{})}
	c.store = kubeapi.NewStore(r.Clock, func(*kubeapi.Resource) { c.markDirty() })
	return c
}

// join makes a member run. As long as there was no majority, the newest disk
// wins; afterwards what the others have.
func (c *cluster) join(id uint64, name string, d disk, data etcdData, known bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known && !c.formed && (c.members == nil || data.Content.Revision > c.loaded) {
		if err := c.store.Load(data.Content); err != nil {
			return fmt.Errorf("etcd: the data on the disk is damaged: %w", err)
		}
		for _, m := range data.Members {
			if i := c.index(m.ID); i >= 0 {
				m.disk, m.running = c.members[i].disk, c.members[i].running
			}
		}
		c.members, c.leader, c.loaded = data.Members, data.Leader, data.Content.Revision
	}
	i := c.index(id)
	if i < 0 {
		return failure{errRemoved}
	}
	m := c.members[i]
	if !m.Started && !c.majority() {
		return errNoMajority
	}
	m.Name, m.disk, m.running, m.Started = name, d, true, true
	c.elect()
	c.markDirty()
	return nil
}

// detach takes the power from a member. The last one takes the cluster out of
// memory.
func (r *Runtime) detach(c *cluster, id uint64) {
	c.save()
	r.mu.Lock()
	defer r.mu.Unlock()
	c.mu.Lock()
	if i := c.index(id); i >= 0 {
		c.members[i].running = false
	}
	c.elect()
	lost := !c.majority()
	c.mu.Unlock()
	if lost {
		c.store.CloseWatches()
	}
	if c.idle() {
		r.drop(c)
	}
}

// drop forgets a cluster. The runtime is locked.
func (r *Runtime) drop(c *cluster) {
	c.cancel()
	<-c.done
	if r.clusters[c.key] == c {
		delete(r.clusters, c.key)
	}
}

func (c *cluster) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !slices.ContainsFunc(c.members, func(m *member) bool { return m.running })
}

func (c *cluster) index(id uint64) int {
	return slices.IndexFunc(c.members, func(m *member) bool { return m.ID == id })
}

// majority tells whether more than half of the voting members run. The cluster
// is locked.
func (c *cluster) majority() bool {
	voting, running := c.votes()
	return running > voting/2
}

func (c *cluster) votes() (voting, running int) {
	for _, m := range c.members {
		if m.Started {
			voting++
			if m.running {
				running++
			}
		}
	}
	return voting, running
}

// elect makes a running member the leader, if the leader does not run. The
// cluster is locked.
func (c *cluster) elect() {
	if !c.majority() {
		return
	}
	c.formed = true
	if i := c.index(c.leader); i >= 0 && c.members[i].running {
		return
	}
	for _, m := range c.members {
		if m.running && m.Started {
			c.leader = m.ID
			return
		}
	}
}

// available returns nil if a member can serve, else why not.
func (c *cluster) available(id uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index(id) < 0 {
		return errRemoved
	}
	if !c.majority() {
		voting, running := c.votes()
		return fmt.Errorf("%w: %d of %d members are running", errNoMajority, running, voting)
	}
	return nil
}

// healthy tells whether anybody can serve.
func (c *cluster) healthy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.majority()
}

func (c *cluster) markDirty() {
	select {
	case c.dirty <- struct{}{}:
	default:
	}
}

// save writes the cluster to the disks of all running members.
func (c *cluster) save() {
	content, err := c.store.Snapshot()
	if err != nil {
		c.runtime.Log.Error(err, "Cannot take a snapshot of a workload cluster", "cluster", c.key.ca[:12])
		return
	}
	c.mu.Lock()
	data := etcdData{Cluster: c.key.etcd, Leader: c.leader, Content: content}
	var disks []disk
	for _, m := range c.members {
		copied := *m
		data.Members = append(data.Members, &copied)
		if m.running {
			disks = append(disks, m.disk)
		}
	}
	c.mu.Unlock()
	c.write(disks, data)
}

// maintain writes changes to the disks and runs the cluster's controllers.
func (c *cluster) maintain(ctx context.Context) {
	defer close(c.done)
	clock := c.runtime.Clock
	ticker := clock.NewTicker(c.runtime.NodeGrace / 10)
	defer ticker.Stop()
	watch := newLifecycle(c)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
			watch.run()
		case <-c.dirty:
			if c.healthy() {
				watch.publishTokens()
			}
			timer := clock.NewTimer(c.runtime.SnapshotDelay)
			select {
			case <-ctx.Done():
				timer.Stop()
				return
			case <-timer.C():
			}
			c.save()
		}
	}
}
