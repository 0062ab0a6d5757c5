package virtualmachine_test

import (
	"log/slog"
	"strings"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/conditions"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
)

// logbook gathers the lines of several logs, in the order in which they come.
type logbook struct{ logtest.Text }

// manager logs all that a manager can be told to log.
func (b *logbook) manager() logr.Logger {
	return funcr.NewJSON(func(line string) { _, _ = b.Write([]byte(line + "\n")) }, funcr.Options{Verbosity: 1})
}

// agent logs what an agent logs by default.
func (b *logbook) agent(host string) *slog.Logger {
	return slog.New(slog.NewJSONHandler(b, nil)).With("host", host)
}

var _ = Describe("The log of a VM", func() {
	It("follows it by its ID from the first reconcile to what its host does, and to its end", func(ctx SpecContext) {
		namespace := physics.Namespace(ctx, GinkgoT())
		vm := physics.vm(namespace, "followed", func(vm *capstanv1.VirtualMachine) {
			vm.OwnerReferences = []metav1.OwnerReference{{
				APIVersion: infrav1.GroupVersion.String(), Kind: "HyperVMachine", Name: "followed", UID: "the-machine",
			}}
			vm.Spec.ID = "0d3e4ad8-8d37-4d70-a8a5-6e28f4b9d6f1"
		})
		Eventually(physics.settled(vm)).Should(beReady())
		physics.update(vm, func() { vm.Spec.RetireSeed = true })
		Eventually(func() (bool, error) {
			return conditions.IsTrue(vm, capstanv1.SeedRetiredCondition), physics.get(vm)()
		}).Should(BeTrue())
		physics.remove(vm)
		Eventually(physics.get(vm)).Should(WithTransform(apierrors.IsNotFound, BeTrue()))

		ref := "map[name:followed namespace:" + namespace + "]"
		var lines []map[string]string
		Eventually(func() []map[string]string {
			lines = logtest.Lines(GinkgoTB(), physics.log.String())
			return lines
		}).Should(ContainElement(SatisfyAll(HaveKeyWithValue("VirtualMachine", ref), HaveKeyWithValue("msg", "VM deleted"))))
		var stages []string
		asked := map[string]bool{}
		for _, line := range lines {
			if line["controller"] != "virtualmachine" || line["VirtualMachine"] != ref {
				continue
			}
			Expect(line).To(HaveKeyWithValue(hostapi.LogVMID, vm.Spec.ID))
			Expect(line).To(HaveKeyWithValue("HyperVMachine", ref))
			Expect(line).To(HaveKeyWithValue("Cluster", "map[name:shop namespace:"+namespace+"]"))
			if line["msg"] == "Host called" {
				asked[line[hostapi.LogRequestID]+line["method"]] = true
			}
			if line["level"] == "0" {
				stages = append(stages, strings.TrimRight(line["msg"]+" "+line["condition"], " "))
			}
		}
		for _, line := range lines {
			if line["host"] == "" || line["operation"] == "" || line[hostapi.LogVMID] != vm.Spec.ID {
				continue
			}
			Expect(line).To(HaveKeyWithValue("host", vm.Spec.Placement.Host))
			Expect(line).To(HaveKey("duration"))
			Expect(asked).To(HaveKey(line[hostapi.LogRequestID]+line["operation"]), "the agent names the reconcile that asked")
			stages = append(stages, line["operation"]+": "+line["msg"])
		}
		Expect(stages).To(ConsistOf(
			"Condition changed AddressesAllocated", "Condition changed Placed", "Condition changed ImageStaged",
			"VM created", "EnsureVM: operation ends well", "Condition changed Running", "Condition changed Ready",
			"EnsureVM: operation ends well", "Condition changed SeedRetired",
			"DeleteVM: operation ends well", "VM deleted",
		), "one line for each effect, and none for a look")
		Expect(physics.log.String()).NotTo(ContainSubstring("cloud-config"))
	})
})
