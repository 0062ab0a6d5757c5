package lblab

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

// Fault is something that befalls the VM that holds the VIP.
type Fault struct {
	Name   string
	Strike func(*VM) error
	// Mend undoes it, where that does not come by itself.
	Mend func(*VM) error
}

// Faults are those after which another VM, or the same one, answers at once.
func Faults() []Fault {
	mendsItself := func(*VM) error { return nil }
	return []Fault{
		{"link cut", func(vm *VM) error { return vm.Cut() }, func(vm *VM) error { return vm.Uncut() }},
		{"power off", func(vm *VM) error { return vm.PowerOff() }, func(vm *VM) error { return vm.PowerOn() }},
		{"HAProxy death", func(vm *VM) error { return vm.Kill("haproxy") }, mendsItself},
		{"keepalived death", func(vm *VM) error { return vm.Kill("keepalived") }, mendsItself},
	}
}

// Outage is what clients saw of a fault.
type Outage struct {
	// Gap is the longest time in which no request was answered after the fault, and
	// Return the longest one after it was mended.
	Gap, Return time.Duration
	// Answered and Failed count all requests from before the fault to after it was
	// mended.
	Answered, Failed int64
	// From and To are the VMs that held the VIP before it and in the end.
	From, To string
}

// So many answers in a row count as normal again, and so long may one take to come on
// a busy machine.
const (
	flow = 100
	calm = 250 * time.Millisecond
)

// Suffer has the fault befall the VM that holds the VIP, mends it when requests are
// answered again, waits until all VMs are well and returns what clients saw.
func (l *Lab) Suffer(ctx context.Context, fault Fault) (outage Outage, err error) {
	if err := l.Settle(ctx); err != nil {
		return outage, err
	}
	holder, _, err := l.Holder(ctx, VIP)
	if err != nil {
		return outage, err
	}
	probe, err := l.Probe(ctx)
	if err != nil {
		return outage, err
	}
	if err := flows(ctx, probe); err != nil {
		return outage, err
	}
	began := time.Now()
	if err := fault.Strike(holder); err != nil {
		return outage, fmt.Errorf("%s of %s: %w", fault.Name, holder.Name, err)
	}
	var mended time.Time
	for _, step := range []func() error{
		func() error { return flows(ctx, probe) },
		func() error { mended = time.Now(); return fault.Mend(holder) },
		func() error { return l.Settle(ctx) },
		func() error { return flows(ctx, probe) },
	} {
		if err := step(); err != nil {
			return outage, fmt.Errorf("after %s of %s: %w", fault.Name, holder.Name, err)
		}
	}
	heir, _, err := l.Holder(ctx, VIP)
	if err != nil {
		return outage, err
	}
	report, err := probe.Stop()
	return Outage{
		Gap: report.LongestGap(began, mended), Return: report.LongestGap(mended, report.Now),
		Answered: report.Answered, Failed: report.Failed, From: holder.Name, To: heir.Name,
	}, err
}

// flows waits until requests are answered without a pause.
func flows(ctx context.Context, asking *traffic.Remote) error {
	var from traffic.Report
	return until(ctx, func() error {
		report, err := asking.Report()
		if err != nil {
			return err
		}
		if from.Now.IsZero() || report.LongestGap(from.Now, report.Now) > calm {
			from = report
		}
		if n := report.Answered - from.Answered; n < flow {
			return fmt.Errorf("%d requests answered in a row, %d failed: %v", n, report.Failed, report.Errors)
		}
		return nil
	})
}

// Settle waits until every VM has the last plan in force, one of them holds the
// VIPs, and the others stand by.
func (l *Lab) Settle(ctx context.Context) error {
	for _, vm := range l.VMs {
		if err := until(ctx, func() error { return vm.well(ctx) }); err != nil {
			return fmt.Errorf("%s is not well: %w", vm.Name, err)
		}
	}
	_, _, err := l.Holder(ctx, VIP)
	return err
}

// well tells whether the VM says of itself that it does what it should.
func (vm *VM) well(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	last := lbapi.Status{}
	status, err := vm.Await(ctx, func(s lbapi.Status) bool { last = s; return vm.doubt(s) == nil })
	if err == nil {
		return vm.doubt(status)
	}
	if last.Name != "" {
		return vm.doubt(last)
	}
	// The connection may wait before it is tried again, as the manager's does.
	return fmt.Errorf("%w", errors.Join(err, vm.Redial()))
}

func (vm *VM) doubt(s lbapi.Status) error {
	vm.lab.mu.Lock()
	wanted := vm.lab.generation
	vm.lab.mu.Unlock()
	if s.Generation != wanted {
		return fmt.Errorf("generation %d is in force, not %d: %v", s.Generation, wanted, s.Messages)
	}
	if len(s.VIPs) == 0 {
		return fmt.Errorf("it knows of no VIP")
	}
	for _, vip := range s.VIPs {
		if vip.Role != lbapi.RoleActive && vip.Role != lbapi.RoleStandby {
			return fmt.Errorf("it is %q for %s: %v", vip.Role, vip.Address, s.Messages)
		}
	}
	for _, b := range s.Backends {
		if b.Health == lbapi.HealthUnknown {
			return fmt.Errorf("it does not know how %s of %s is", b.Backend, b.Frontend)
		}
	}
	return nil
}
