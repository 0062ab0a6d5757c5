package orphan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// unusual says why nothing may be removed unasked, or nothing if all is as usual. What an
// administrator has acknowledged does not count: somebody knows of it.
func (r *Reconciler) unusual(s *sweep) string {
	undecided := map[hostapi.VMID]bool{}
	for _, orphan := range s.orphans {
		if !orphan.entry.Acknowledged && orphan.strayed == "" {
			undecided[orphan.vm.Stamp.ID] = true
		}
	}
	if !r.Policy.tooMany(len(undecided), s.held) {
		return ""
	}
	return fmt.Sprintf("%d of the %s that the hosts hold have no object, as if objects had been lost", len(undecided), conditions.Counted(s.held, "VM"))
}

// uprooted says that nothing is left where an orphan comes from: so it looks if the API
// server was emptied, or restored from an old backup, or if clusterctl has moved all
// clusters of a namespace to another management cluster.
func uprooted(o *orphan, known *known) string {
	if len(known.namespaces) == 0 {
		return "the API server knows no VirtualMachine at all, as if it had been emptied or restored"
	}
	namespace, _, ok := strings.Cut(o.entry.Owner, "/")
	if !ok || known.namespaces[namespace] {
		return ""
	}
	return fmt.Sprintf("namespace %s holds no VirtualMachine any more, as if its clusters had been moved or its objects lost", namespace)
}

// awaitsWord tells whether an orphan waits for an administrator.
func awaitsWord(entry *capstanv1.HostOrphan) bool {
	return !entry.Acknowledged && (entry.State == capstanv1.OrphanReported || entry.State == capstanv1.OrphanFrozen)
}

// tokenOf names the orphans of a list that wait for an administrator. Whoever repeats it
// means these and no others: what is found later gives another token, even if it was there
// before and had an object meanwhile.
func tokenOf(entries []capstanv1.HostOrphan) string {
	var ids []string
	for i := range entries {
		if awaitsWord(&entries[i]) {
			ids = append(ids, entries[i].ID+" "+conditions.ClockTime(entries[i].FirstSeen.Time))
		}
	}
	if len(ids) == 0 {
		return ""
	}
	slices.Sort(ids)
	sum := sha256.Sum256([]byte(strings.Join(ids, "\n")))
	return hex.EncodeToString(sum[:])[:12]
}

// isAcknowledged tells whether an administrator has repeated the token of the list that
// the host's status shows.
func isAcknowledged(host *capstanv1.HyperVHost) bool {
	token := tokenOf(host.Status.Orphans)
	return token != "" && host.Annotations[capstanv1.RemoveOrphansAnnotation] == token
}
