package virtualmachine_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
)

// noAddress on a console goes with a guest that never has one.
const noAddress = "[FAILED] Failed to start systemd-networkd.service - Network Configuration."

// consoles are what guests of certain names write.
var consoles = map[string][]string{
	"unjoined": {
		"Linux version 6.1.0-simulated",
		"Cloud-init v. 22.4.2 running 'modules:final' at Sat, 21 Nov 2026 21:00:05 +0000. Up 6.90 seconds.",
		"+ kubeadm join --token q1w2e3.r4t5y6u7i8o9p0a1",
		"\x1b[1mdebug: half of it is r4t5y6u7\x1b[0m",
		"error: error execution phase preflight: r4t5y6u7i8o9p0a1 and openplease are not believed",
		"cc_scripts_user.py[WARNING]: Failed to run module scripts_user (scripts in /var/lib/cloud/instance/scripts)",
	},
	"unaddressed": {
		"Cloud-init v. 22.4.2 running 'init-local' at Sat, 21 Nov 2026 21:00:05 +0000. Up 3.90 seconds.", noAddress,
		"Cloud-init v. 22.4.2 finished at Sat, 21 Nov 2026 21:00:05 +0000. Datasource DataSourceNone.  Up 25.00 seconds",
	},
}

var _ = Describe("The guest of a VirtualMachine", func() {
	It("that does not become what it shall be says why, and nothing of what is secret in its seed", func(ctx SpecContext) {
		namespace := physics.Namespace(ctx, GinkgoT())
		vm := physics.vmOf(namespace, "unjoined", "#cloud-config\nwrite_files:\n- path: /run/join.yaml\n  content: |\n    token: q1w2e3.r4t5y6u7i8o9p0a1\n    password: openplease\n")
		Eventually(func() (*capstanv1.GuestReport, error) { return vm.Status.Guest, physics.get(vm)() }).Should(HaveValue(SatisfyAll(
			HaveField("Initialization", capstanv1.GuestInitializationFailed), HaveField("Stage", "modules:final"),
			HaveField("Console", Equal([]string{
				"debug: half of it is [removed]",
				"error: error execution phase preflight: [removed] and [removed] are not believed",
				"cc_scripts_user.py[WARNING]: Failed to run module scripts_user (scripts in /var/lib/cloud/instance/scripts)",
			})),
		)))
		Expect(physics.settled(vm)()).To(beReady(), "the VM itself is well")

		By("telling it once")
		told := *vm.Status.Guest
		physics.update(vm, func() { vm.Spec.Group = "noticed" })
		Eventually(func() (bool, error) { return vm.Status.ObservedGeneration == vm.Generation, physics.get(vm)() }).Should(BeTrue())
		Expect(vm.Status.Guest).To(HaveValue(Equal(told)))

		By("saying nothing of it any more once it is up all the same")
		physics.update(vm, func() { vm.Spec.RetireSeed = true })
		Eventually(func() (bool, error) {
			return vm.Status.Guest == nil && conditions.IsTrue(vm, capstanv1.SeedRetiredCondition), physics.get(vm)()
		}).Should(BeTrue())
	})

	It("that has no address and no seed is told with it", func(ctx SpecContext) {
		namespace := physics.Namespace(ctx, GinkgoT())
		vm := physics.vm(namespace, "unaddressed")
		Eventually(physics.settled(vm)).Should(wait(capstanv1.ReasonBootstrapFailed, "; its first configuration has failed in stage init-local. On its console:\n"+
			"Cloud-init v. 22.4.2 running 'init-local'"))
		Expect(physics.settled(vm)()).To(wait(capstanv1.ReasonBootstrapFailed, noAddress))
		Expect(vm.Status.Phase).To(Equal(capstanv1.VMStarting))
	})
})
