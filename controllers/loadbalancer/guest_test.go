package loadbalancer_test

import (
	"context"
	"log/slog"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/lbguest"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// guest is a load-balancer VM that stands in for the virtualmachine controller, its
// host, and what boots there.
type guest struct {
	vm      *capstanv1.VirtualMachine
	config  lbapi.LBConfig
	dir     string
	running *lbguest.Guest
}

// prepare gives a VM its address and takes its configuration from the Secret.
func (s *site) prepare(ctx context.Context, vm *capstanv1.VirtualMachine) *guest {
	GinkgoHelper()
	address := s.newVMAddress()
	setVMStatus(ctx, vm, func(vm *capstanv1.VirtualMachine) {
		vm.Status.Addresses, vm.Status.Host = []string{address}, "hv-1"
	})
	secret := &corev1.Secret{}
	Eventually(func() error { return k8s.Get(ctx, bootstrapKey(vm), secret) }).Should(Succeed())
	config, err := lbapi.ParseLBConfig(secret.Data["value"])
	Expect(err).NotTo(HaveOccurred())
	g := &guest{vm: vm, config: config}
	s.guests[vm.Name] = g
	return g
}

// install prepares and boots a VM, without telling that it runs.
func (s *site) install(ctx context.Context, vm *capstanv1.VirtualMachine) *guest {
	GinkgoHelper()
	g := s.prepare(ctx, vm)
	g.powerOn(s, GinkgoT().TempDir())
	return g
}

// boot installs a VM and tells that it runs.
func (s *site) boot(ctx context.Context, vm capstanv1.VirtualMachine) *guest {
	GinkgoHelper()
	g := s.install(ctx, &vm)
	setVMStatus(ctx, g.vm, runs)
	return g
}

func runs(vm *capstanv1.VirtualMachine) {
	vm.Status.Phase, vm.Status.SeedHash = capstanv1.VMRunning, "made"
}

// retired tells that the seed of a VM is destroyed.
func retired(vm *capstanv1.VirtualMachine) {
	vm.Status.Conditions = append(vm.Status.Conditions, metav1.Condition{
		Type: capstanv1.SeedRetiredCondition, Status: metav1.ConditionTrue, Reason: capstanv1.ReasonRetired, LastTransitionTime: metav1.Now(),
	})
}

func (g *guest) powerOn(s *site, dir string) {
	GinkgoHelper()
	g.dir = dir
	Expect(g.start(s)).To(Succeed())
	// Before its disk is taken away.
	DeferCleanup(g.powerOff)
}

// start boots the guest from its disk.
func (g *guest) start(s *site) (err error) {
	g.running, err = lbguest.Start(lbguest.Options{
		Config: g.config, Dir: g.dir, Version: "test", Segment: s.segment, Clock: clock.RealClock{}, Log: slog.New(slog.DiscardHandler),
	})
	return err
}

func (g *guest) powerOff() {
	if g.running != nil {
		g.running.Stop()
		g.running = nil
	}
}

func bootstrapKey(vm *capstanv1.VirtualMachine) client.ObjectKey {
	return client.ObjectKey{Namespace: vm.Namespace, Name: vm.Name + "-bootstrap"}
}
