package orphan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/census"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// mostVolumes is how many volumes an entry names.
const mostVolumes = 32

// sweep is what was found, and what is to become of it.
type sweep struct {
	places []*census.Place
	// held is how many VMs of this installation the hosts hold that could be asked, each
	// counted once.
	held int
	// orphans are those that are reported, the oldest first.
	orphans []*orphan
	// reports are one for each host.
	reports []*report
	// foundAt are all orphans, those included that no status has room for.
	foundAt map[hostapi.VMID]bool
}

// orphan is something that a host holds and no object stands for.
type orphan struct {
	vm    hostapi.VM
	place *census.Place
	host  *capstanv1.HyperVHost
	entry capstanv1.HostOrphan
	// known tells that it was reported before, seen that the sweep before found it.
	known, seen bool
	// strayed says whose it is, of one that is no orphan and not where it belongs.
	strayed string
}

// report is what a host's status is to say.
type report struct {
	host    *capstanv1.HyperVHost
	place   *census.Place
	orphans []*orphan
	// more are those that there is no room for, gone those that are held no more.
	more int
	gone []capstanv1.HostOrphan
}

// judge says of everything that is held what it is. It asks nobody.
func (r *Reconciler) judge(found *census.Census, known *known) *sweep {
	s := &sweep{places: found.Places, foundAt: map[hostapi.VMID]bool{}}
	held := map[hostapi.VMID]bool{}
	for _, p := range found.Places {
		if judged(p) {
			s.orphans = append(s.orphans, r.orphansOf(p, known, held)...)
		}
	}
	s.held = len(held)
	slices.SortFunc(s.orphans, byAge)
	for _, orphan := range s.orphans {
		if orphan.strayed == "" {
			s.foundAt[orphan.vm.Stamp.ID] = true
			continue
		}
		if at := known.at[orphan.vm.Stamp.ID]; !orphan.entry.Remnant && found.At(orphan.vm.Stamp.ID, at.place) != nil {
			orphan.strayed += ", which has it too: there are two VMs of one identity"
		}
	}
	frozen := r.unusual(s)
	now := r.Clock.Now()
	for _, orphan := range s.orphans {
		orphan.entry.State, orphan.entry.Message = r.stateOf(orphan, frozen, known, now)
		if failure := r.memory[orphan.vm.Stamp.ID].failure; failure != "" && orphan.entry.State == capstanv1.OrphanRemoving {
			orphan.entry.Message = shorten(failure)
		}
	}
	s.report()
	return s
}

// orphansOf are what a place holds of ours that no object stands for, or that an object has
// elsewhere, with what was reported of them before. All that it holds of ours is added to
// held.
func (r *Reconciler) orphansOf(p *census.Place, known *known, held map[hostapi.VMID]bool) []*orphan {
	ledger := ledgerOf(p)
	var orphans []*orphan
	for i := range p.VMs {
		vm := p.VMs[i]
		id := vm.Stamp.ID
		if vm.Stamp.Installation != r.Installation {
			continue
		}
		held[id] = true
		strayed := known.strayed(id, p)
		if known.ids[id] && strayed == "" {
			continue
		}
		entry, reported := ledger[string(id)]
		// What has become an orphan, or is none any more, is something else than before.
		reported = reported && (entry.State == capstanv1.OrphanElsewhere) == (strayed != "")
		if !reported {
			entry = capstanv1.HostOrphan{ID: string(id), FirstSeen: metav1.NewTime(r.Clock.Now().Truncate(time.Second))}
		}
		entry.Remnant, entry.Volumes = census.IsRemnant(&vm), volumesOf(&vm)
		if vm.Name != "" {
			entry.Name = vm.Name
		}
		if vm.Owner != "" {
			entry.Owner = vm.Owner
		}
		_, seen := r.memory[id]
		orphans = append(orphans, &orphan{vm: vm, place: p, host: p.HostOf(&vm), entry: entry, known: reported, seen: seen, strayed: strayed})
	}
	return orphans
}

// ledgerOf is what the statuses of a place say of its orphans, whichever of its hosts had
// them then. An administrator's word is among it.
func ledgerOf(p *census.Place) map[string]capstanv1.HostOrphan {
	all := map[string]capstanv1.HostOrphan{}
	for _, host := range p.Hosts {
		acknowledged := isAcknowledged(host)
		for _, entry := range host.Status.Orphans {
			entry.Acknowledged = entry.Acknowledged || acknowledged && awaitsWord(&entry)
			if was, ok := all[entry.ID]; ok {
				entry.Acknowledged = entry.Acknowledged || was.Acknowledged
				if was.FirstSeen.Before(&entry.FirstSeen) {
					entry.FirstSeen = was.FirstSeen
				}
				if was.State == capstanv1.OrphanFrozen {
					entry.State = was.State
				}
			}
			all[entry.ID] = entry
		}
	}
	return all
}

// stateOf is what is to become of an orphan, and why.
func (r *Reconciler) stateOf(o *orphan, frozen string, known *known, now time.Time) (capstanv1.OrphanState, string) {
	p, was := r.Policy, o.entry.State
	end := o.entry.FirstSeen.Add(p.Grace)
	covered, uprooted := p.covers(&o.vm), uprooted(o, known)
	switch {
	case o.strayed != "":
		return capstanv1.OrphanElsewhere, shorten(o.strayed + "; nothing is done to it: " + o.remedy())
	case p.Removal == RemoveNothing:
		return capstanv1.OrphanReported, "nothing is removed: the manager runs with --orphan-removal=" + string(RemoveNothing)
	case !o.entry.Acknowledged && covered && uprooted != "":
		return capstanv1.OrphanFrozen, uprooted
	case was == capstanv1.OrphanRemoving && (covered || o.entry.Acknowledged):
		return capstanv1.OrphanRemoving, "it is being removed"
	case !o.entry.Acknowledged && covered && (frozen != "" || was == capstanv1.OrphanFrozen):
		if frozen == "" {
			frozen = o.entry.Message
		}
		return capstanv1.OrphanFrozen, frozen
	case !o.entry.Acknowledged && !covered:
		return capstanv1.OrphanReported, "it is a whole VM, which may be in use by somebody who is not known here"
	case now.Before(end):
		return capstanv1.OrphanWaiting, fmt.Sprintf("it is removed after %s, unless its object comes back", conditions.ClockTime(end))
	case !o.seen:
		return capstanv1.OrphanWaiting, "it is removed once a second sweep has found it"
	case o.vm.Operation != nil:
		return capstanv1.OrphanWaiting, "its agent is at work: " + shorten(o.vm.Operation.What)
	default:
		return capstanv1.OrphanRemoving, "it is being removed"
	}
}

// remedy is what a person can do about a VM that is not where it belongs.
func (o *orphan) remedy() string {
	if o.entry.Remnant {
		return "nothing can run on it, so remove it by hand if nobody needs it"
	}
	return "move it back there, or remove it here by hand"
}

// report puts the orphans where they are told of, as far as there is room.
func (s *sweep) report() {
	of := map[string]*report{}
	for _, p := range s.places {
		here := map[string]bool{}
		for _, host := range p.Hosts {
			of[host.Name] = &report{host: host, place: p}
			s.reports = append(s.reports, of[host.Name])
		}
		if !judged(p) {
			continue
		}
		for _, vm := range p.VMs {
			here[string(vm.Stamp.ID)] = true
		}
		for _, host := range p.Hosts {
			for _, entry := range host.Status.Orphans {
				if !here[entry.ID] {
					of[host.Name].gone = append(of[host.Name].gone, entry)
				}
			}
		}
	}
	var told []*orphan
	for _, orphan := range s.orphans {
		report := of[orphan.host.Name]
		if len(report.orphans) == capstanv1.MostOrphans {
			report.more++
			continue
		}
		report.orphans = append(report.orphans, orphan)
		told = append(told, orphan)
	}
	s.orphans = told
}

// remember keeps which orphans were found. What was found by the sweep before and is
// found now has been seen twice.
func (r *Reconciler) remember(s *sweep) {
	now := map[hostapi.VMID]memory{}
	for id := range s.foundAt {
		now[id] = r.memory[id]
	}
	r.memory = now
}

// shorten keeps a message within what an entry has room for.
func shorten(text string) string {
	const most = 900
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}

// judged tells whether it is known what a place holds.
func judged(p *census.Place) bool {
	reason, _ := p.Unsettled()
	return reason == ""
}

// volumesOf are the volumes of a VM's disks.
func volumesOf(vm *hostapi.VM) []string {
	var volumes []string
	for _, disk := range vm.Disks {
		volumes = append(volumes, disk.Volume)
	}
	slices.Sort(volumes)
	volumes = slices.Compact(volumes)
	return volumes[:min(len(volumes), mostVolumes)]
}

// byAge puts what was found first first.
func byAge(a, b *orphan) int {
	return cmp.Or(a.entry.FirstSeen.Compare(b.entry.FirstSeen.Time), strings.Compare(a.entry.ID, b.entry.ID))
}
