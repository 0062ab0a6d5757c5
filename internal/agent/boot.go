package agent

import (
	"context"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// lookEvery is how often the agent looks whether its host was booted.
const lookEvery = 10 * time.Second

// host is what the agent remembers of its host.
type host struct {
	name, bootID, cluster string
}

// boot tells whether VMs may be started. After a boot of the host, or where the
// boots cannot be told apart after a start of the agent, that needs the
// manager's tombstones first.
type boot struct {
	mu    sync.Mutex
	host  host
	known bool
	// buried tells that Bury was called since this process began, and for which
	// boot.
	buried    bool
	buriedFor string
}

// observe takes over what the host says and tells whether it was booted since
// it was last looked at, or else since restored.
func (b *boot) observe(i hostapi.Inventory, restored string) (booted bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := restored
	if b.known {
		before = b.host.bootID
	}
	booted = i.BootID != before
	b.host, b.known = host{name: i.Host, bootID: i.BootID, cluster: i.FailoverCluster}, true
	return booted
}

// mayStart tells whether a caller may start a VM. restored is the boot for which
// the journal says that the tombstones were handed in.
func (b *boot) mayStart(restored string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !b.known:
		return false
	case b.host.bootID == "":
		return b.buried
	default:
		return b.host.bootID == restored
	}
}

// awaitsBury tells whether anything waits for Bury: starts of VMs, or work from
// the journal.
func (b *boot) awaitsBury(restored string) bool {
	if !b.mayStart(restored) {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.buried || b.buriedFor != b.host.bootID
}

func (b *boot) markBuried(bootID string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buried, b.buriedFor = true, bootID
}

func (b *boot) get() (host, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.host, b.known
}

// host returns what is known of the host, and asks it if that is nothing.
func (a *Agent) host(ctx context.Context) (host, error) {
	if h, known := a.boot.get(); known {
		return h, nil
	}
	if _, err := a.Inventory(ctx); err != nil {
		return host{}, err
	}
	h, _ := a.boot.get()
	return h, nil
}

// checkMayStart refuses to start a VM that may have been given up for lost.
func (a *Agent) checkMayStart(ctx context.Context, op string, power hostapi.Power) error {
	if power != hostapi.PowerOn {
		return nil
	}
	if _, err := a.host(ctx); err != nil {
		return err
	}
	if !a.boot.mayStart(a.journal.restoredBoot()) {
		return hostapi.Errorf(hostapi.Transient, op, "", "the host was booted and the agent waits for the manager's tombstones before it starts VMs")
	}
	return nil
}
