package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/testenv/onlooker"
)

// subject is what the management cluster says of a VM.
type subject struct {
	namespace, name, cluster, role string
	// wanted says that its object is there and not being deleted, clusterWanted the
	// same of the user's cluster.
	wanted, clusterWanted bool
}

func (s subject) String() string {
	return fmt.Sprintf("VirtualMachine %s/%s (%s of %s)", s.namespace, s.name, s.role, s.cluster)
}

// removals are the calls after which something is gone for good.
var removals = []string{"DestroyVM", "DeleteFile", "ReleaseRole"}

// rules are what is judged by.
type rules struct {
	// ours is what this installation stamps.
	ours string
	// known are the VMs that the management cluster ever had, by their IDs.
	known map[string]subject
}

// judge tells what is wrong with something that a host was told to take away.
func (r rules) judge(deed fabricapi.Deed) []finding {
	what := fmt.Sprintf("%s of %s by host %s", deed.Op, describe(deed), deed.Host)
	if deed.Stamp == nil {
		if ownNeedsNoStamp(deed) {
			return nil
		}
		return []finding{{lost, what + ", which bears nobody's stamp"}}
	}
	if deed.Stamp.Installation != r.ours {
		return []finding{{lost, what + ", which bears another installation's stamp"}}
	}
	vm := r.known[deed.Stamp.ID]
	var found []finding
	if vm.wanted && slices.Contains(removals, deed.Op) && !isSeed(deed) {
		found = append(found, finding{lost, fmt.Sprintf("%s, though nobody has deleted %s", what, vm)})
	}
	if e := deed.Electorate; e != nil && vm.clusterWanted && e.Running > e.Voting/2 && e.Running-1 <= e.Voting/2 {
		found = append(found, finding{lost, fmt.Sprintf("%s, %s: with %d of %d members of etcd running it cost the cluster its quorum", what, vm, e.Running, e.Voting)})
	}
	return found
}

func describe(deed fabricapi.Deed) string {
	if deed.Name != "" {
		return fmt.Sprintf("VM %s (%s)", deed.Name, deed.Object)
	}
	return deed.Object
}

// ownNeedsNoStamp tells of what is no VM's: copies of images that are begun anew.
func ownNeedsNoStamp(deed fabricapi.Deed) bool {
	return deed.Op == "DeleteFile" && strings.Contains(deed.Object, `\capstan\images\`)
}

// isSeed tells of the one part of a VM that goes while the VM stays.
func isSeed(deed fabricapi.Deed) bool { return strings.HasSuffix(deed.Object, ".iso") }

// bystanders are VMs and files of other people, which must stay where they are.
type bystanders struct {
	mu    sync.Mutex
	there map[string]bool
	// ids are identities that other people stamped.
	ids map[string]bool
}

func newBystanders() *bystanders {
	return &bystanders{there: map[string]bool{}, ids: map[string]bool{}}
}

func (b *bystanders) add(site, name string, stamp *fabricapi.Stamp) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.there[name+" in "+site] = true
	if stamp != nil {
		b.ids[stamp.ID] = true
	}
}

// all are those that there are now.
func (b *bystanders) all() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return maps.Clone(b.there)
}

// look tells what must not be on the hosts, not for a moment. Of other people's VMs and
// files those must be there that were before the hosts were looked at.
func look(w fabricapi.World, before map[string]bool) []finding {
	var found []finding
	missing := maps.Clone(before)
	for _, double := range onlooker.Doubles(w) {
		found = append(found, finding{duplicate, double})
	}
	for _, site := range w.Sites {
		for i := range site.VMs {
			delete(missing, site.VMs[i].GUID+" in "+site.Name)
		}
		for i := range site.Files {
			delete(missing, site.Files[i].Path+" in "+site.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missing)) {
		found = append(found, finding{lost, name + ", which is somebody else's, is gone"})
	}
	return found
}

// stray tells what bears our stamp and an ID of which the management cluster has no VM
// now.
func (r rules) stray(w fabricapi.World) []finding {
	var found []finding
	note := func(stamp *fabricapi.Stamp, what string) {
		if stamp != nil && stamp.Installation == r.ours && !r.known[stamp.ID].wanted {
			found = append(found, finding{orphan, what + " of a VM that is not there any more"})
		}
	}
	for _, site := range w.Sites {
		for i := range site.VMs {
			note(site.VMs[i].Stamp, fmt.Sprintf("VM %s (%s) in %s", site.VMs[i].Name, site.VMs[i].GUID, site.Name))
		}
		for i := range site.Files {
			note(site.Files[i].Stamp, fmt.Sprintf("%s %s: %s in %s", site.Files[i].Kind, site.Files[i].Volume, site.Files[i].Path, site.Name))
		}
		for i := range site.Roles {
			note(site.Roles[i].Stamp, fmt.Sprintf("claim %s in %s", site.Roles[i].Name, site.Name))
		}
	}
	return found
}

// neverKnown tells of identities that were on hosts and never a VM's of the management
// cluster.
func (r rules) neverKnown(seen map[string]string, others *bystanders) []finding {
	others.mu.Lock()
	defer others.mu.Unlock()
	var found []finding
	for id, what := range seen {
		if _, ok := r.known[id]; !ok && !others.ids[id] {
			found = append(found, finding{orphan, what + " was on the hosts, but no VirtualMachine ever had its identity " + id})
		}
	}
	return found
}
