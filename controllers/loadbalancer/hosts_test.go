package loadbalancer_test

import (
	"context"
	"path/filepath"
	"slices"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// brokenImage is what nothing boots from.
const brokenImage = "broken"

// hosts stand in for the virtualmachine controller and its hosts: they boot
// whatever VM there is, and take its power before they let it go.
type hosts struct {
	site *site
	// disks is where the disks of all VMs lie.
	disks string

	mu sync.Mutex
	// booted are the names of VMs in the order in which they came up, and gone those
	// that are no more.
	booted, gone []string
	// robbed are those that held the VIP when their power was taken.
	robbed []string
	// dead are VMs that are not booted, and whose deletion nobody confirms.
	dead map[string]bool
	// holdNewcomers keeps VMs that are new from being booted.
	holdNewcomers bool
	// most is how many VMs were being deleted at the same time, and crowd how many there
	// were.
	most, crowd int
	// owners is how many guests held the VIP at the same time.
	owners int
}

// runHosts looks after the VMs until the spec ends.
func (s *site) runHosts(ctx context.Context) *hosts {
	h := &hosts{site: s, disks: GinkgoT().TempDir(), dead: map[string]bool{}}
	ctx, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	done.Go(func() {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for ctx.Err() == nil {
			h.look(ctx)
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	DeferCleanup(func() {
		stop()
		done.Wait()
		for _, g := range s.guests {
			g.powerOff()
		}
	})
	return h
}

// look does what is to be done now. What fails is tried again.
func (h *hosts) look(ctx context.Context) {
	list := &capstanv1.VirtualMachineList{}
	if err := k8s.List(ctx, list, client.InNamespace(h.site.namespace)); err != nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	moving := 0
	for i := range list.Items {
		vm := &list.Items[i]
		if !vm.DeletionTimestamp.IsZero() {
			moving++
		}
		if !h.dead[vm.Name] {
			h.attend(ctx, vm)
		}
	}
	h.most, h.crowd = max(h.most, moving), max(h.crowd, len(list.Items))
	h.owners = max(h.owners, h.count())
}

func (h *hosts) attend(ctx context.Context, vm *capstanv1.VirtualMachine) {
	before := vm.DeepCopy()
	g := h.site.guests[vm.Name]
	switch {
	case !vm.DeletionTimestamp.IsZero():
		if g != nil {
			if holds(g) {
				h.robbed = append(h.robbed, vm.Name)
			}
			g.powerOff()
		}
		vm.Finalizers = nil
		if k8s.Patch(ctx, vm, client.MergeFrom(before)) == nil {
			h.gone = append(h.gone, vm.Name)
		}
	case len(vm.Finalizers) == 0:
		vm.Finalizers = []string{held}
		_ = k8s.Patch(ctx, vm, client.MergeFrom(before))
	case len(vm.Status.Addresses) == 0:
		vm.Status.Addresses, vm.Status.Host = []string{h.site.newVMAddress()}, "host-of-"+vm.Name
		_ = k8s.Status().Patch(ctx, vm, client.MergeFrom(before))
	case g == nil && !h.holdNewcomers:
		h.boot(ctx, vm)
	}
}

func (h *hosts) boot(ctx context.Context, vm *capstanv1.VirtualMachine) {
	if vm.Spec.Image == brokenImage {
		return
	}
	secret := &corev1.Secret{}
	if err := k8s.Get(ctx, bootstrapKey(vm), secret); err != nil {
		return
	}
	config, err := lbapi.ParseLBConfig(secret.Data["value"])
	if err != nil {
		return
	}
	before := vm.DeepCopy()
	runs(vm)
	says(metav1.ConditionTrue, capstanv1.ReasonReady)(vm)
	g := &guest{vm: vm.DeepCopy(), config: config, dir: filepath.Join(h.disks, vm.Name)}
	if err := g.start(h.site); err != nil {
		return
	}
	h.site.guests[vm.Name] = g
	h.booted = append(h.booted, vm.Name)
	_ = k8s.Status().Patch(ctx, vm, client.MergeFrom(before))
}

// count is how many guests hold the VIP now.
func (h *hosts) count() int {
	owners := 0
	for _, g := range h.site.guests {
		if holds(g) {
			owners++
		}
	}
	return owners
}

// holds tells whether a guest holds the VIP. One that would and cannot bind it says
// Fault.
func holds(g *guest) bool {
	return g.running != nil && slices.ContainsFunc(g.running.Status().VIPs, func(vip lbapi.VIPStatus) bool { return vip.Role != lbapi.RoleStandby })
}

// with does something while nobody attends to the VMs.
func (h *hosts) with(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
}

func (h *hosts) namesOfGone() func() []string {
	return func() (names []string) {
		h.with(func() { names = slices.Clone(h.gone) })
		return names
	}
}

// says is what the virtualmachine controller tells of a VM.
func says(status metav1.ConditionStatus, reason string) func(*capstanv1.VirtualMachine) {
	return func(vm *capstanv1.VirtualMachine) {
		meta.SetStatusCondition(&vm.Status.Conditions, metav1.Condition{
			Type: capstanv1.ReadyCondition, Status: status, Reason: reason, Message: "as told in a test", ObservedGeneration: vm.Generation,
		})
	}
}

// newPair makes a LoadBalancer of two VMs that both have a plan, and returns the
// active one first.
func (s *site) newPair(ctx context.Context) (lb *capstanv1.LoadBalancer, active, standby string) {
	GinkgoHelper()
	lb = s.newLoadBalancer(ctx, replicas(2))
	Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
	Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
	Eventually(func() bool {
		active, standby = "", ""
		for _, i := range fetch(ctx, lb).Status.Instances {
			switch i.Role {
			case "Active":
				active = i.Name
			case "Standby":
				standby = i.Name
			}
		}
		return active != "" && standby != ""
	}).Should(BeTrue())
	for _, vm := range s.vms(ctx) {
		Eventually(func() bool { return k8s.Get(ctx, client.ObjectKeyFromObject(&vm), &vm) == nil && vm.Spec.RetireSeed }).Should(BeTrue())
	}
	return lb, active, standby
}

func replicas(n int32) func(*capstanv1.LoadBalancer) {
	return func(lb *capstanv1.LoadBalancer) { lb.Spec.Replicas = &n }
}

// vm returns a VM by its name.
func (s *site) vm(ctx context.Context, name string) *capstanv1.VirtualMachine {
	GinkgoHelper()
	vm := &capstanv1.VirtualMachine{}
	Expect(k8s.Get(ctx, client.ObjectKey{Namespace: s.namespace, Name: name}, vm)).To(Succeed())
	return vm
}
