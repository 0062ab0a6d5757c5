package story

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// lookInterval is how often the onlooker looks; mustLook how often, on average,
// it must have done so at the least.
const (
	lookInterval = 25 * time.Millisecond
	mustLook     = 100 * time.Millisecond
)

// onlooker looks at the hosts all along, never at the manager.
type onlooker struct {
	progress *tally
	stop     context.CancelFunc
	stopped  chan struct{}

	began, last time.Time
	looks       int
	longest     time.Duration
	violations  map[string]bool
	// seen are the identities that were ever on a host, and what bore them.
	seen  map[string]string
	state string
}

func startOnlooker(t *testing.T, w *world, p *tally) *onlooker {
	t.Helper()
	ctx, stop := context.WithCancel(w.Ctx)
	now := time.Now()
	o := &onlooker{
		progress: p, stop: stop, stopped: make(chan struct{}), began: now, last: now,
		violations: map[string]bool{}, seen: map[string]string{},
	}
	t.Cleanup(stop)
	go func() {
		defer close(o.stopped)
		ticker := time.NewTicker(lookInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				o.look(ctx, w)
			case <-ctx.Done():
				return
			}
		}
	}()
	return o
}

func (o *onlooker) look(ctx context.Context, w *world) {
	now, err := w.Env.World(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		o.violations[err.Error()] = true
		return
	}
	o.looks++
	o.longest = max(o.longest, time.Since(o.last))
	o.last = time.Now()
	for _, violation := range violations(now) {
		o.violations[violation] = true
	}
	maps.Copy(o.seen, identities(now))
	if state := summary(now); state != o.state {
		o.state = state
		o.progress.add()
	}
}

// finish ends the looking, fails the test if anything was wrong at any time, and
// returns the identities that were seen.
func (o *onlooker) finish(t *testing.T) map[string]string {
	t.Helper()
	g := NewWithT(t)
	o.stop()
	<-o.stopped
	g.Expect(slices.Sorted(maps.Keys(o.violations))).To(BeEmpty())
	g.Expect(o.looks).To(BeNumerically(">=", o.last.Sub(o.began)/mustLook), "it looked too seldom to see much")
	t.Logf("looked at the hosts %d times in %.0f s, with %.2f s at most between two looks", o.looks, o.last.Sub(o.began).Seconds(), o.longest.Seconds())
	return o.seen
}

// violations are what must never be on the hosts, not for a moment.
func violations(w fabricapi.World) []string {
	holders := map[string][]string{}
	hold := func(what, holder string) { holders[what] = append(holders[what], holder) }
	var found []string
	for _, site := range w.Sites {
		for i := range site.VMs {
			vm := &site.VMs[i]
			holder := fmt.Sprintf("VM %s (%s)", vm.Name, vm.GUID)
			if vm.Stamp == nil {
				found = append(found, holder+" bears no stamp")
			} else {
				hold("identity "+vm.Stamp.ID, holder)
			}
			for _, nic := range vm.NICs {
				hold("MAC "+nic.MAC, holder)
				for _, address := range nic.Addresses {
					hold("address "+address, holder)
				}
			}
		}
		for i := range site.Files {
			if file := &site.Files[i]; file.Stamp != nil {
				hold(fmt.Sprintf("%s %s of identity %s", file.Kind, file.Label, file.Stamp.ID), file.Volume+": "+file.Path)
			}
		}
	}
	for _, what := range slices.Sorted(maps.Keys(holders)) {
		if many := holders[what]; len(many) > 1 {
			slices.Sort(many)
			found = append(found, what+" is held by "+strings.Join(many, " and "))
		}
	}
	return found
}

// identities are those of VMs, files and claims, each with one of its bearers.
func identities(w fabricapi.World) map[string]string {
	seen := map[string]string{}
	for _, site := range w.Sites {
		for _, vm := range site.VMs {
			add(seen, vm.Stamp, "VM "+vm.Name)
		}
		for _, file := range site.Files {
			add(seen, file.Stamp, string(file.Kind)+" "+file.Path)
		}
		for _, role := range site.Roles {
			add(seen, role.Stamp, "claim "+role.Name)
		}
	}
	return seen
}

func add(seen map[string]string, stamp *fabricapi.Stamp, what string) {
	if stamp != nil {
		seen[stamp.ID] = what
	}
}

// summary is different whenever an effect of ours on the hosts is.
func summary(w fabricapi.World) string {
	var b strings.Builder
	for _, site := range w.Sites {
		for i := range site.VMs {
			vm := &site.VMs[i]
			fmt.Fprintln(&b, vm.GUID, vm.State, len(vm.Disks), len(vm.NICs), vm.ISO != nil, vm.Heartbeat)
		}
		for i := range site.Files {
			fmt.Fprintln(&b, site.Files[i].ID, site.Files[i].Path, site.Files[i].Image != nil && site.Files[i].FileBytes < site.Files[i].Image.TotalBytes)
		}
		for _, role := range site.Roles {
			fmt.Fprintln(&b, role.Name, role.Node, role.Volumes)
		}
	}
	return b.String()
}
