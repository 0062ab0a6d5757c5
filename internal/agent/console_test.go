package agent_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func TestOfAConsoleOnlyWhatExplainsLeavesTheHost(t *testing.T) {
	w := newWorld(t)
	vm := hostapi.VM{
		Stamp: hostapi.Stamp{Installation: "test", ID: "vm-1"}, Name: "shop-1", State: hostapi.StateRunning,
		Console: []string{
			"Cloud-init v. 22.4.2 running 'modules:final' at Sat", "kubeadm join --token abcdef.0123456789abcdef", "a", "b",
			"\x1b[31merror execution phase preflight: token abcdef.0123456789abcdef is too old\x1b[0m", "Failed to run module scripts_user", "c", "d",
		},
	}
	w.driver.Put(vm)

	told, err := w.agent.GetVM(t.Context(), "vm-1")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(told.Init).To(Equal(hostapi.GuestInit{State: hostapi.InitFailed, Stage: "modules:final"}))
	w.Expect(told.Console).To(Equal([]string{
		"error execution phase preflight: token [removed] is too old", "Failed to run module scripts_user", "d",
	}))
	told, err = w.agent.SetPower(t.Context(), hostapi.SetPowerRequest{Stamp: vm.Stamp, Power: hostapi.PowerOn})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(told.Console).To(HaveLen(3))
	all, err := w.agent.ListVMs(t.Context())
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(all).To(HaveExactElements(And(HaveField("Name", "shop-1"), HaveField("Console", BeEmpty()), HaveField("Init", BeZero()))))

	// A host that can tell by itself knows better.
	vm.Init = hostapi.GuestInit{State: hostapi.InitDone}
	w.driver.Put(vm)
	told, err = w.agent.GetVM(t.Context(), "vm-1")
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(told.Init.State).To(Equal(hostapi.InitDone))
}
