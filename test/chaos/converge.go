package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// cleanWithin is how long the garbage collector may take after the last finalizer.
const cleanWithin = time.Minute

// converge waits until the user has what they want, and then until nothing is left of
// what they delete. It tells whether both happened.
func (s *storm) converge(ctx context.Context, nothing *demoenv.Auditor) (bool, error) {
	well, err := s.until(ctx, s.unsettled)
	if err != nil {
		return false, err
	}
	if well {
		s.screen.Step("everything is as the user wants it, and nothing else is on the hosts")
	}
	if err := s.goHome(ctx); err != nil {
		return false, err
	}
	gone, err := s.until(ctx, s.remaining)
	if err != nil {
		return false, err
	}
	if err := s.auditor.finish(ctx); err != nil {
		return false, err
	}
	for _, guid := range s.strangers {
		if err := s.Admin.RemoveVM(ctx, guid); err != nil {
			// The auditor has said so.
			s.screen.Step(fmt.Sprintf("somebody else's VM %s: %s", guid, err))
		}
	}
	if !gone {
		return false, nil
	}
	if err := s.withdraw(ctx); err != nil {
		return false, err
	}
	if err := nothing.WaitClean(ctx, cleanWithin); err != nil {
		left, failed := nothing.Leftovers(ctx)
		if failed != nil {
			return false, failed
		}
		for _, what := range left {
			s.auditor.findings.add(finding{orphan, what + " is left"})
		}
		return false, ctx.Err()
	}
	s.screen.Step("nothing is left: no VM, disk, seed, claim, address, Secret or finalizer")
	return well, nil
}

// goHome has the user give up all that they have asked for.
func (s *storm) goHome(ctx context.Context) error {
	var last []doing
	if s.user.drained != "" {
		last = append(last, s.user.maintain())
	}
	for _, w := range s.user.wishes {
		last = append(last, doing{act: deletes, of: w})
	}
	for _, d := range last {
		if err := s.do(ctx, d, nil); err != nil {
			return fmt.Errorf("%s: %w", d, err)
		}
	}
	return nil
}

// until waits until nothing is lacking, and otherwise has found what is.
func (s *storm) until(ctx context.Context, lacking func(context.Context) ([]finding, error)) (bool, error) {
	limited, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	var last []finding
	err := wait.PollUntilContextCancel(limited, 500*time.Millisecond, true, func(ctx context.Context) (bool, error) {
		lack, err := lacking(ctx)
		if err != nil {
			// Whoever is asked may be about to start.
			return false, nil //nolint:nilerr // the last that was lacking is told.
		}
		last = lack
		return len(lack) == 0, nil
	})
	if err != nil && ctx.Err() != nil {
		return false, context.Cause(ctx)
	}
	s.auditor.findings.add(last...)
	return err == nil, nil
}

// unsettled is what is not yet as the user wants it.
func (s *storm) unsettled(ctx context.Context) ([]finding, error) {
	var found []finding
	lack := func(format string, args ...any) { found = append(found, finding{stuck, fmt.Sprintf(format, args...)}) }
	for _, w := range s.user.wishes {
		objects := map[string]demoenv.Conditioned{w.name: &capstanv1.WorkloadCluster{}}
		for _, pool := range w.pools() {
			objects[pool] = &capstanv1.NodePool{}
		}
		for name, object := range objects {
			if err := s.api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, object); err != nil {
				return nil, fmt.Errorf("reading what the user has: %w", err)
			}
			if ready := demoenv.ReadyOf(object); ready.Status != metav1.ConditionTrue {
				lack("%s %s/%s is not Ready: %s: %s", kindOf(object), w.namespace, name, ready.Reason, ready.Message)
			}
		}
	}
	hosts := &capstanv1.HyperVHostList{}
	if err := s.api.List(ctx, hosts); err != nil {
		return nil, fmt.Errorf("reading the hosts: %w", err)
	}
	for i := range hosts.Items {
		if ready := demoenv.ReadyOf(&hosts.Items[i]); ready.Status != metav1.ConditionTrue {
			lack("HyperVHost %s is not Ready: %s: %s", hosts.Items[i].Name, ready.Reason, ready.Message)
		}
	}
	ungranted, err := s.ungranted(ctx)
	if err != nil {
		return nil, err
	}
	unpublished, err := s.unpublished(ctx)
	if err != nil {
		return nil, err
	}
	return s.physical(ctx, slices.Concat(found, ungranted, unpublished))
}

// physical adds what is on hosts and should not be, or is not and should.
func (s *storm) physical(ctx context.Context, found []finding) ([]finding, error) {
	vms := &capstanv1.VirtualMachineList{}
	if err := s.api.List(ctx, vms); err != nil {
		return nil, fmt.Errorf("reading the VMs: %w", err)
	}
	world, err := s.World(ctx)
	if err != nil {
		return nil, err
	}
	up := map[string]bool{}
	for _, site := range world.Sites {
		for i := range site.VMs {
			if vm := &site.VMs[i]; vm.Stamp != nil && running(vm) {
				up[vm.Stamp.ID] = true
			}
		}
	}
	for i := range vms.Items {
		if vm := &vms.Items[i]; !up[vm.Spec.ID] {
			found = append(found, finding{lost, fmt.Sprintf("VirtualMachine %s/%s does not run on any host", vm.Namespace, vm.Name)})
		}
	}
	if err := s.auditor.book.read(ctx); err != nil {
		return nil, err
	}
	return append(found, s.auditor.book.rules(s.ours).stray(world)...), nil
}

// remaining is what is left of what the user has deleted.
func (s *storm) remaining(ctx context.Context) ([]finding, error) {
	var found []finding
	for _, list := range []client.ObjectList{&capstanv1.WorkloadClusterList{}, &capstanv1.VirtualMachineList{}, &capstanv1.TombstoneList{}} {
		if err := s.api.List(ctx, list); err != nil {
			return nil, fmt.Errorf("reading what is left: %w", err)
		}
		if err := meta.EachListItem(list, func(item runtime.Object) error {
			object := item.(client.Object)
			found = append(found, finding{stuck, fmt.Sprintf("%s %s/%s is not gone, held by %s",
				kindOf(object), object.GetNamespace(), object.GetName(), strings.Join(object.GetFinalizers(), ", "))})
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// kindOf is the kind of an object, which what the API server answers leaves out.
func kindOf(object client.Object) string {
	name := fmt.Sprintf("%T", object)
	return name[strings.LastIndex(name, ".")+1:]
}
