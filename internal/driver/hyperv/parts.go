package hyperv

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// parts is everything that bears the ID of one VM. The claim is taken before anything is made and released after
// everything is gone.
type parts struct {
	id       hostapi.VMID
	places   []volume
	held     []claim
	machines []*machine
	folders  []folder
	// role is the clustered role of the VM.
	role *role
	// up are the nodes that can have VMs.
	up []string
	// moving tells that the role's owner has not got the VM yet.
	moving bool
	// lost is a node that is down and has the VM, as far as the cluster knows.
	lost string
}

// folder is a VM's folder on a volume.
type folder struct {
	volume  volume
	record  *folderRecord
	entries []hostfs.Entry
}

// foreign tells whether something lies there that is not ours.
func (f folder) foreign() bool { return f.record == nil && len(f.entries) > 0 }

func (f folder) entry(name string) *hostfs.Entry {
	for _, e := range f.entries {
		if strings.EqualFold(e.Name, name) {
			return &e
		}
	}
	return nil
}

// role is a clustered role.
type role struct{ path, owner string }

// site is what the failover cluster says of itself. A host that stands alone is one node that is up.
type site struct {
	up    []string
	down  []string
	roles map[hostapi.VMID]role
}

// States of MSCluster_Node in which it runs VMs.
const (
	nodeUp     = 0
	nodePaused = 2
)

func (d *Driver) site(ctx context.Context) (site, error) {
	if !d.cluster {
		return site{up: []string{d.Host}}, nil
	}
	own, err := d.node(ctx, d.Host)
	if err != nil {
		return site{}, err
	}
	nodes, err := own.Query(ctx, wmi.Query{Namespace: wmi.Cluster, Class: "MSCluster_Node", Properties: []string{"Name", "State"}})
	if err != nil {
		return site{}, err
	}
	s := site{roles: map[hostapi.VMID]role{}}
	for _, n := range nodes {
		if state := n.Number("State"); state == nodeUp || state == nodePaused {
			s.up = append(s.up, n.String("Name"))
		} else {
			s.down = append(s.down, n.String("Name"))
		}
	}
	groups, err := own.Query(ctx, wmi.Query{Namespace: wmi.Cluster, Class: "MSCluster_ResourceGroup", Properties: []string{"Name", "OwnerNode"}})
	if err != nil {
		return site{}, err
	}
	for _, g := range groups {
		// A role is named as its VM, and that ends with the ID.
		name := g.String("Name")
		if i := strings.LastIndex(name, " "); i >= 0 && !strings.HasPrefix(name, claimPrefix) {
			s.roles[hostapi.VMID(name[i+1:])] = role{g.Path, g.String("OwnerNode")}
		}
	}
	return s, nil
}

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, name) })
}

// picture is what was asked once for a whole call.
type picture struct {
	*Driver
	op      string
	volumes []volume
	claims  []claim
	site    site
	seen    map[string][]*machine
}

func (d *Driver) look(ctx context.Context, op string) (*picture, error) {
	volumes, err := d.volumes(ctx, op)
	if err != nil {
		return nil, err
	}
	held, err := d.claims.list(ctx)
	if err != nil {
		return nil, typed(op, "", "list the claims", err)
	}
	s, err := d.site(ctx)
	if err != nil {
		return nil, typed(op, "", "look at the failover cluster", err)
	}
	return &picture{d, op, volumes, held, s, map[string][]*machine{}}, nil
}

// on returns the VMs on a host.
func (l *picture) on(ctx context.Context, name string) ([]*machine, error) {
	if found, ok := l.seen[name]; ok {
		return found, nil
	}
	n, err := l.node(ctx, name)
	if err != nil {
		return nil, typed(l.op, name, "connect to host "+name, err)
	}
	found, err := n.machines(ctx)
	if err != nil {
		return nil, typed(l.op, name, "list the VMs of host "+name, err)
	}
	l.seen[name] = found
	return found, nil
}

// parts finds everything of one VM.
func (d *Driver) parts(ctx context.Context, op string, id hostapi.VMID) (*parts, error) {
	l, err := d.look(ctx, op)
	if err != nil {
		return nil, err
	}
	return l.parts(ctx, id)
}

func (l *picture) parts(ctx context.Context, id hostapi.VMID) (*parts, error) {
	p := &parts{id: id, places: l.volumes, up: l.site.up}
	for _, c := range l.claims {
		if c.Stamp.ID == id {
			p.held = append(p.held, c)
		}
	}
	nodes := l.site.up
	if r, ok := l.site.roles[id]; ok {
		p.role = &r
		// Its owner alone can have it, or be down with it.
		nodes = []string{r.owner}
		if !contains(l.site.up, r.owner) {
			p.lost, nodes = r.owner, nil
		}
	}
	for _, name := range nodes {
		found, err := l.on(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if m.notes.Stamp.ID != id {
				continue
			}
			if err := m.load(ctx); err != nil {
				return nil, typed(l.op, name, "read the devices of VM "+string(id), err)
			}
			p.machines = append(p.machines, m)
		}
	}
	p.moving = p.role != nil && p.lost == "" && len(p.machines) == 0
	for _, c := range p.held {
		if len(p.machines) == 0 && contains(l.site.down, c.Node) {
			p.lost = c.Node
		}
	}
	return p, l.readFolders(ctx, l.op, p)
}

// readFolders reads the VM's folders on all volumes that can be read.
func (d *Driver) readFolders(ctx context.Context, op string, p *parts) error {
	for _, v := range p.places {
		if !v.usable() || (len(p.held) > 0 && !p.claimed(v.name)) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return typed(op, v.name, "look at volume "+v.name, err)
		}
		entries, err := d.Files.List(v.folder(p.id))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return typed(op, v.name, "list the files of VM "+string(p.id), err)
		}
		record, err := getJSON[folderRecord](d.Files, join(v.folder(p.id), recordName))
		if err != nil {
			return typed(op, v.name, "read the record of VM "+string(p.id), err)
		}
		p.folders = append(p.folders, folder{v, record, entries})
	}
	return nil
}

// claimed tells whether a claim names a volume.
func (p *parts) claimed(volume string) bool {
	return slices.ContainsFunc(p.held, func(c claim) bool { return slices.Contains(c.Volumes, volume) })
}

// faulted returns a volume on which more of the VM may lie than can be seen.
func (p *parts) faulted() *volume {
	for _, v := range p.places {
		if !v.usable() && p.claimed(v.name) {
			return &v
		}
	}
	return nil
}

func (p *parts) none() bool {
	return len(p.held) == 0 && len(p.machines) == 0 && p.role == nil &&
		!slices.ContainsFunc(p.folders, func(f folder) bool { return f.record != nil })
}

// machine returns the VM, or nil if only other parts of it exist.
func (p *parts) machine() *machine {
	if len(p.machines) == 0 {
		return nil
	}
	return p.machines[0]
}

func (p *parts) folder(volume string) *folder {
	for i := range p.folders {
		if p.folders[i].volume.name == volume {
			return &p.folders[i]
		}
	}
	return nil
}

// checkOwned tells whether every part is the caller's, and there is one VM.
func (p *parts) checkOwned(op string, stamp hostapi.Stamp) error {
	for _, c := range p.held {
		if c.Stamp != stamp {
			return hostapi.Errorf(hostapi.NotOwned, op, "", "VM %s is claimed by another installation", p.id)
		}
	}
	for _, m := range p.machines {
		if m.notes.Stamp != stamp {
			return hostapi.Errorf(hostapi.NotOwned, op, "", "VM %s is another installation's", p.id)
		}
	}
	for _, f := range p.folders {
		if f.record != nil && f.record.Stamp != stamp {
			return hostapi.Errorf(hostapi.NotOwned, op, f.volume.name, "the files of VM %s are another installation's", p.id)
		}
	}
	if len(p.machines) > 1 {
		return hostapi.Errorf(hostapi.Conflict, op, "", "%d VMs bear the ID %s", len(p.machines), p.id)
	}
	return nil
}

// checkNode tells whether the VM's state can be known.
func (p *parts) checkNode(op string) error {
	if p.lost != "" {
		return hostapi.Errorf(hostapi.HostUnreachable, op, p.lost,
			"host %s, which has VM %s, is down, and its failover cluster has not restarted the VM yet", p.lost, p.id)
	}
	if p.moving {
		return hostapi.Errorf(hostapi.Transient, op, p.role.owner, "VM %s is being moved to host %s", p.id, p.role.owner)
	}
	return nil
}

func (p *parts) stamp() hostapi.Stamp {
	for _, m := range p.machines {
		return m.notes.Stamp
	}
	for _, c := range p.held {
		return c.Stamp
	}
	for _, f := range p.folders {
		if f.record != nil {
			return f.record.Stamp
		}
	}
	return hostapi.Stamp{ID: p.id}
}
