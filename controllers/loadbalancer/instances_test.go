package loadbalancer_test

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// role returns the role of a VM as the LoadBalancer tells it.
func role(ctx context.Context, lb *capstanv1.LoadBalancer, name string) func() string {
	return func() string {
		for _, i := range fetch(ctx, lb).Status.Instances {
			if i.Name == name {
				return i.Role
			}
		}
		return ""
	}
}

// scale is what kubectl scale does.
func scale(ctx context.Context, lb *capstanv1.LoadBalancer, replicas int32) {
	GinkgoHelper()
	wanted := &autoscalingv1.Scale{Spec: autoscalingv1.ScaleSpec{Replicas: replicas}}
	Eventually(func() error {
		return k8s.SubResource("scale").Update(ctx, fetch(ctx, lb), client.WithSubResourceBody(wanted))
	}).Should(Succeed())
}

// other returns the VM that has not the name.
func other(vms []capstanv1.VirtualMachine, name string) capstanv1.VirtualMachine {
	for _, vm := range vms {
		if vm.Name != name {
			return vm
		}
	}
	return capstanv1.VirtualMachine{}
}

var _ = Describe("The VMs of a LoadBalancer", func() {
	It("grow and shrink, and the active one stays", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		first := s.waitForVMs(ctx, 1)[0]
		scale(ctx, lb, 2)
		second := other(s.waitForVMs(ctx, 2), first.Name)
		if first.CreationTimestamp.Equal(&second.CreationTimestamp) && first.Name < second.Name {
			first, second = second, first
		}
		// Of two standbys, second would go.
		s.boot(ctx, second)
		Eventually(role(ctx, lb, second.Name)).Should(Equal("Active"))
		s.boot(ctx, first)
		Eventually(role(ctx, lb, first.Name)).Should(Equal("Standby"))
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
		Expect(role(ctx, lb, second.Name)()).To(Equal("Active"))
		Expect(fetch(ctx, lb).Status.ReadyReplicas).To(BeEquivalentTo(2))

		scale(ctx, lb, 1)
		Expect(s.waitForVMs(ctx, 1)[0].Name).To(Equal(second.Name), "the standby goes first")
		Eventually(func() []capstanv1.LoadBalancerInstance { return fetch(ctx, lb).Status.Instances }).Should(HaveLen(1))
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
	})

	It("take over from one that falls silent, which is told and not replaced", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx, func(lb *capstanv1.LoadBalancer) { lb.Spec.Replicas = ptr.To(int32(2)) })
		vms := s.waitForVMs(ctx, 2)
		s.boot(ctx, vms[0])
		Eventually(role(ctx, lb, vms[0].Name)).Should(Equal("Active"))
		s.boot(ctx, vms[1])
		Eventually(role(ctx, lb, vms[1].Name)).Should(Equal("Standby"))

		s.guests[vms[0].Name].powerOff()
		Eventually(role(ctx, lb, vms[0].Name)).Should(Equal("Unknown"))
		Eventually(role(ctx, lb, vms[1].Name)).Should(Equal("Active"))
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		Expect(condition(ctx, lb, capstanv1.InstancesReadyCondition)()).To(Equal("False WaitingForInstances"))
		Expect(message(ctx, lb, capstanv1.InstancesReadyCondition)()).To(ContainSubstring(vms[0].Name))
		Expect(s.vms(ctx)).To(HaveLen(2), "silence is not death")
	})

	DescribeTable("are replaced when they can never come back", func(ctx SpecContext, kill func(context.Context, *site, *capstanv1.VirtualMachine)) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		dead := s.waitForVMs(ctx, 1)[0]
		g := s.boot(ctx, dead)
		Eventually(func() bool { return s.vms(ctx)[0].Spec.RetireSeed }).Should(BeTrue())
		g.powerOff()
		kill(ctx, s, &dead)
		Eventually(func() string { return other(s.vms(ctx), dead.Name).Name }).ShouldNot(BeEmpty())
		s.boot(ctx, s.waitForVMs(ctx, 1)[0])
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(Equal("True Ready"))
	},
		Entry("because the object is gone", func(ctx context.Context, _ *site, vm *capstanv1.VirtualMachine) {
			Expect(k8s.Delete(ctx, vm)).To(Succeed())
		}),
		Entry("because the host does not know the VM any more", func(ctx context.Context, _ *site, vm *capstanv1.VirtualMachine) {
			setVMStatus(ctx, vm, func(vm *capstanv1.VirtualMachine) {
				vm.Status.Conditions = []metav1.Condition{{
					Type: capstanv1.ReadyCondition, Status: metav1.ConditionFalse, Reason: capstanv1.ReasonVMNotFound, LastTransitionTime: metav1.Now(),
				}}
			})
		}),
		Entry("because the host is declared lost", func(ctx context.Context, s *site, vm *capstanv1.VirtualMachine) {
			host := &capstanv1.HyperVHost{
				ObjectMeta: metav1.ObjectMeta{Name: "lost-of-" + s.namespace},
				Spec:       capstanv1.HyperVHostSpec{Endpoint: "hv.example:9440", Lost: true},
			}
			setVMStatus(ctx, vm, func(vm *capstanv1.VirtualMachine) { vm.Status.Host = host.Name })
			Expect(k8s.Create(ctx, host)).To(Succeed())
			DeferCleanup(func(ctx SpecContext) { Expect(k8s.Delete(ctx, host)).To(Succeed()) })
		}),
	)

	It("are waited for while they are being deleted, and stay peers", func(ctx SpecContext) {
		s := newSite(ctx)
		lb := s.newLoadBalancer(ctx)
		leaving := s.waitForVMs(ctx, 1)[0]
		hold(ctx, &leaving)
		s.boot(ctx, leaving)
		Eventually(condition(ctx, lb, capstanv1.ReadyCondition)).Should(Equal("True Ready"))
		Expect(k8s.Delete(ctx, &leaving)).To(Succeed())
		Eventually(condition(ctx, lb, capstanv1.InstancesReadyCondition)).Should(HavePrefix("False"))
		Consistently(func() []capstanv1.VirtualMachine { return s.vms(ctx) }, "300ms").Should(BeEmpty())
		s.newCA(ctx)
		s.newMember(ctx, "cp-1")
		Eventually(s.ask).Should(Equal("cp-1"), "whoever may hold the VIP is told of every plan")
		letGo(ctx, &leaving)
		Expect(s.waitForVMs(ctx, 1)[0].Name).NotTo(Equal(leaving.Name))
	})
})

const held = "test.capstan.dev/held"

// hold keeps a VM as its controller does until the host has confirmed.
func hold(ctx context.Context, vm *capstanv1.VirtualMachine) {
	GinkgoHelper()
	before := vm.DeepCopy()
	vm.Finalizers = append(vm.Finalizers, held)
	Expect(k8s.Patch(ctx, vm, client.MergeFrom(before))).To(Succeed())
}

func letGo(ctx context.Context, vm *capstanv1.VirtualMachine) {
	GinkgoHelper()
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(vm), vm)).To(Succeed())
	before := vm.DeepCopy()
	vm.Finalizers = nil
	Expect(k8s.Patch(ctx, vm, client.MergeFrom(before))).To(Succeed())
}
