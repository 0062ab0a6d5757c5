package wmifake_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
)

// bench has guests that a test speaks for.
type bench struct {
	events []string
	hosts  []wmifake.Services
}

func (b *bench) PowerOn(m wmifake.Machine, host wmifake.Services) {
	b.events, b.hosts = append(b.events, "on "+m.Name), append(b.hosts, host)
}

func (b *bench) PowerOff(string) func() {
	b.events = append(b.events, "off")
	return func() { b.events = append(b.events, "gone") }
}

func (b *bench) ShutDown(string) { b.events = append(b.events, "asked to stop") }

func (b *bench) Erased(string) {}

// take returns what has happened since it was asked last.
func (b *bench) take() []string {
	events := b.events
	b.events = nil
	return events
}

// inhabited is a failover cluster of two nodes with a VM on the first, in a role.
func inhabited(t *testing.T) (*bench, *wmifake.World, wmi.Session) {
	t.Helper()
	g := NewWithT(t)
	b := &bench{}
	world := wmifake.New(t, wmifake.Options{
		Nodes: []string{"HV1", "HV2"}, Cluster: "fc1", Volumes: []string{`C:\ClusterStorage\v1`}, VolumeBytes: 1 << 40,
		Processors: 4, MemoryMiB: 4096, Guests: b,
	})
	world.AddVM("HV1", "a")
	world.AddRole("a")
	s, err := world.Client("HV1").Dial(t.Context(), "")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(b.take()).To(Equal([]string{"on a"}))
	return b, world, s
}

// one returns the one VM that there is, with what its guest says.
func one(t *testing.T, world *wmifake.World) wmifake.PicturedVM {
	t.Helper()
	vms := world.Picture().VMs
	NewWithT(t).Expect(vms).To(HaveLen(1))
	return vms[0]
}

func TestAGuestIsHeardWhileItsVMHasThePowerThatItCameWith(t *testing.T) {
	g := NewWithT(t)
	b, world, _ := inhabited(t)
	g.Expect(one(t, world).Up).To(BeFalse())
	b.hosts[0].Up()
	g.Expect(one(t, world).Up).To(BeTrue())

	world.LoseNode("HV1")
	g.Expect(b.take()).To(Equal([]string{"off", "gone"}), "nothing is left of it once that is known")
	world.RestoreNode("HV1")
	g.Expect(b.take()).To(Equal([]string{"on a"}))
	b.hosts[0].Up()
	g.Expect(one(t, world).Up).To(BeFalse(), "that was the guest before")
	b.hosts[1].Up()
	g.Expect(one(t, world).Up).To(BeTrue())
}

func TestAFailoverClusterStartsElsewhereWhatRanOnALostNode(t *testing.T) {
	g := NewWithT(t)
	b, world, _ := inhabited(t)
	world.LoseNode("HV1")
	b.take()
	world.FailOver("HV2")
	g.Expect(one(t, world).Node).To(Equal("HV1"), "that node is not lost")
	world.FailOver("HV1")
	g.Expect(one(t, world)).To(And(HaveField("Node", "HV2"), HaveField("State", int64(wmifake.StateEnabled))))
	g.Expect(b.take()).To(Equal([]string{"on a"}))

	world.RestoreNode("HV1")
	g.Expect(b.take()).To(BeEmpty(), "it is elsewhere")
}

func TestAGuestThatIsAskedToStopTakesItsTime(t *testing.T) {
	g := NewWithT(t)
	b, world, s := inhabited(t)
	b.hosts[0].Up()
	system, err := s.Query(t.Context(), wmi.Query{Namespace: wmi.Virtualization, Class: "Msvm_ComputerSystem", Where: wmi.Values{"ElementName": "a"}})
	g.Expect(err).NotTo(HaveOccurred())
	guest, err := s.Related(t.Context(), system[0].Path, wmi.Association{Through: "Msvm_SystemDevice", Class: "Msvm_ShutdownComponent"})
	g.Expect(err).NotTo(HaveOccurred())
	out, err := s.Call(t.Context(), guest[0].Path, "InitiateShutdown", wmi.Values{"Force": true, "Reason": "a test"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(out.Number(wmi.ReturnValue)).To(BeZero())
	g.Expect(b.take()).To(Equal([]string{"asked to stop"}))
	g.Expect(one(t, world).State).To(Equal(int64(wmifake.StateShuttingDown)), "it was not heard of yet")
	b.hosts[0].Stopped()
	g.Expect(one(t, world).State).To(Equal(int64(wmifake.StateDisabled)))
	g.Expect(b.take()).To(Equal([]string{"off", "gone"}))
}

func TestAVMThatIsRemovedByHandTakesItsGuestAlong(t *testing.T) {
	g := NewWithT(t)
	b, world, _ := inhabited(t)
	world.RemoveVM("somebody's")
	g.Expect(b.take()).To(Equal([]string{"off", "gone"}))
	g.Expect(world.Picture().VMs).To(BeEmpty())
	g.Expect(world.Picture().Roles).To(BeEmpty())
}
