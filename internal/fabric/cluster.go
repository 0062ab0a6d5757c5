package fabric

import (
	"context"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// ownsRole tells whether this node owns a role.
func (h *Host) ownsRole(name string) error {
	role := h.site.roles[name]
	if role == nil {
		return fabricapi.Refuse(fabricapi.NotFound, name, "there is no role %s", name)
	}
	if role.Node != h.Name {
		return fabricapi.Refuse(fabricapi.OwnedElsewhere, name, "host %s owns role %s", role.Node, name)
	}
	return nil
}

// member returns a VM in a role.
func (s *site) member(role string) *vm {
	for _, v := range s.vms {
		if v.Role == role {
			return v
		}
	}
	return nil
}

// ClaimRole claims a name in the whole failover cluster. Only one node can own
// it, so only one can make a VM in it.
func (h *Host) ClaimRole(_ context.Context, req fabricapi.ClaimRoleRequest) (out fabricapi.Role, err error) {
	err = h.update(func(t *tx) error {
		if req.Name == "" {
			return fabricapi.Refuse(fabricapi.InvalidParameter, "", "a role needs a name")
		}
		role := h.site.roles[req.Name]
		switch {
		case role == nil:
			role = &fabricapi.Role{Name: req.Name, Stamp: req.Stamp, Node: h.Name}
			h.site.roles[req.Name] = role
		case !sameStamp(role.Stamp, req.Stamp):
			return fabricapi.Refuse(fabricapi.Exists, req.Name, "role %s is somebody else's", req.Name)
		case h.site.member(req.Name) == nil:
			role.Node = h.Name
		}
		for _, volume := range req.Volumes {
			if !slices.Contains(role.Volumes, volume) {
				role.Volumes = append(role.Volumes, volume)
			}
		}
		t.saveRole(h.site, role)
		out = *role
		return nil
	})
	return out, err
}

func sameStamp(a, b *fabricapi.Stamp) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// ReleaseRole removes a role that has no VM in it.
func (h *Host) ReleaseRole(_ context.Context, req fabricapi.RoleRef) (fabricapi.None, error) {
	return fabricapi.None{}, h.update(func(t *tx) error {
		if h.site.roles[req.Name] == nil {
			return fabricapi.Refuse(fabricapi.NotFound, req.Name, "there is no role %s", req.Name)
		}
		if v := h.site.member(req.Name); v != nil {
			return fabricapi.Refuse(fabricapi.InUse, req.Name, "VM %s is in role %s", v.GUID, req.Name)
		}
		h.record(t, fabricapi.Deed{Op: "ReleaseRole", Object: req.Name, Stamp: h.site.roles[req.Name].Stamp})
		delete(h.site.roles, req.Name)
		t.Delete(kindRole, h.site.name+"/"+req.Name)
		return nil
	})
}

// ListRoles returns the roles of a name, or all.
func (h *Host) ListRoles(_ context.Context, req fabricapi.RoleRef) (out []fabricapi.Role, err error) {
	err = h.read(func() error {
		for name, role := range h.site.roles {
			if req.Name == "" || req.Name == name {
				out = append(out, *role)
			}
		}
		slices.SortFunc(out, func(a, b fabricapi.Role) int { return strings.Compare(a.Name, b.Name) })
		return nil
	})
	return out, err
}

// failOverLost returns what a failover cluster does when it stops waiting for
// lost nodes.
func (w *World) failOverLost(s *site) func() {
	return func() {
		_ = w.update(func(t *tx) error {
			w.placeLost(t, s)
			return nil
		})
	}
}

// placeLost moves what lost nodes owned to nodes that are up, as far as these
// have room, and starts what ran.
func (w *World) placeLost(t *tx, s *site) {
	for _, guid := range sortedKeys(s.vms) {
		v := s.vms[guid]
		if !w.overdue(v.node()) {
			continue
		}
		node := s.roomiest()
		if node == nil || (v.holdsMemory() && node.memoryFree() < v.MemoryMiB) {
			continue
		}
		v.Host = node.Name
		if v.State != fabricapi.Off {
			w.restart(v)
		}
		t.saveVM(s, v)
		if role := s.roles[v.Role]; role != nil {
			role.Node = node.Name
			t.saveRole(s, role)
		}
	}
}

// overdue tells whether a cluster has waited long enough for a node.
func (w *World) overdue(h *host) bool {
	return h.DownSince != nil && w.Clock.Since(*h.DownSince) >= w.FailoverDelay
}

// restart brings up a VM whose node was lost.
func (w *World) restart(v *vm) {
	v.State = fabricapi.Running
	if v.storageLost() {
		v.State = fabricapi.Critical
		return
	}
	w.boot(v, w.BootTime)
}

// roomiest returns the node that is up and has most memory free.
func (s *site) roomiest() *host {
	var best *host
	for _, h := range s.hosts {
		if h.DownSince == nil && !h.isolated && (best == nil || h.memoryFree() > best.memoryFree()) {
			best = h
		}
	}
	return best
}
