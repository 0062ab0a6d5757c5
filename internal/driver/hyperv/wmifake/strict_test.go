package wmifake_test

import (
	"context"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
)

// reporter hears what a test would have failed of.
type reporter struct{ said []string }

func (r *reporter) Helper() {}

func (r *reporter) Errorf(format string, args ...any) {
	r.said = append(r.said, fmt.Sprintf(format, args...))
}

// connect returns a host and what finds mistakes of its driver.
func connect(t *testing.T) (wmi.Session, *reporter, *wmifake.World) {
	t.Helper()
	var r reporter
	world := wmifake.New(&r, wmifake.Options{
		Nodes: []string{"HV1"}, Cluster: "fc1", Volumes: []string{`C:\ClusterStorage\v1`}, VolumeBytes: 1 << 40, Processors: 4, MemoryMiB: 4096,
	})
	s, err := world.Client("HV1").Dial(t.Context(), "")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return s, &r, world
}

func service(t *testing.T, s wmi.Session) string {
	t.Helper()
	g := NewWithT(t)
	found, err := s.Query(t.Context(), wmi.Query{Namespace: wmi.Virtualization, Class: "Msvm_VirtualSystemManagementService"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(HaveLen(1))
	return found[0].Path
}

func TestWhatNoHostCouldDoFailsTheTest(t *testing.T) {
	for name, do := range map[string]func(ctx context.Context, s wmi.Session, service string) error{
		"a namespace": func(ctx context.Context, s wmi.Session, _ string) error {
			_, err := s.Query(ctx, wmi.Query{Namespace: `root\virtualisation`, Class: "Msvm_ComputerSystem"})
			return err
		},
		"a class": func(ctx context.Context, s wmi.Session, _ string) error {
			_, err := s.Query(ctx, wmi.Query{Namespace: wmi.Virtualization, Class: "Msvm_ComputerSystems"})
			return err
		},
		"a class of another namespace": func(ctx context.Context, s wmi.Session, _ string) error {
			_, err := s.Query(ctx, wmi.Query{Namespace: wmi.Virtualization, Class: "MSCluster_Node"})
			return err
		},
		"a property": func(ctx context.Context, s wmi.Session, _ string) error {
			_, err := s.Query(ctx, wmi.Query{Namespace: wmi.Virtualization, Class: "Msvm_ComputerSystem", Properties: []string{"State"}})
			return err
		},
		"a condition": func(ctx context.Context, s wmi.Session, _ string) error {
			_, err := s.Query(ctx, wmi.Query{Namespace: wmi.Virtualization, Class: "Msvm_ComputerSystem", Where: wmi.Values{"Nome": "a"}})
			return err
		},
		"an association": func(ctx context.Context, s wmi.Session, service string) error {
			_, err := s.Related(ctx, service, wmi.Association{Through: "Msvm_SystemDevices", Class: "Msvm_ComputerSystem"})
			return err
		},
		"a property of a draft": func(ctx context.Context, s wmi.Session, _ string) error {
			_, err := s.Text(ctx, wmi.Draft{Namespace: wmi.Virtualization, Class: "Msvm_VirtualSystemSettingData", Set: wmi.Values{"Note": "a"}})
			return err
		},
		"the type of a draft's property": func(ctx context.Context, s wmi.Session, _ string) error {
			_, err := s.Text(ctx, wmi.Draft{Namespace: wmi.Virtualization, Class: "Msvm_VirtualSystemSettingData", Set: wmi.Values{"Notes": "a"}})
			return err
		},
		"a 64-bit number that COM would lose": func(ctx context.Context, s wmi.Session, _ string) error {
			_, err := s.Text(ctx, wmi.Draft{Namespace: wmi.Virtualization, Class: "Msvm_MemorySettingData", Set: wmi.Values{"VirtualQuantity": 4096}})
			return err
		},
		"a method": func(ctx context.Context, s wmi.Session, service string) error {
			_, err := s.Call(ctx, service, "DefineVirtualSystem", nil)
			return err
		},
		"an IN parameter": func(ctx context.Context, s wmi.Session, service string) error {
			_, err := s.Call(ctx, service, "DefineSystem", wmi.Values{"SystemSetting": "a"})
			return err
		},
		"an OUT parameter": func(ctx context.Context, s wmi.Session, service string) error {
			_, err := s.Call(ctx, service, "DefineSystem", nil, "Jobs")
			return err
		},
		"an object that methods alone change": func(ctx context.Context, s wmi.Session, service string) error {
			return s.Put(ctx, service, wmi.Values{"Name": "a"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s, said, _ := connect(t)
			g.Expect(do(t.Context(), s, service(t, s))).NotTo(Succeed())
			g.Expect(said.said).To(HaveLen(1))
		})
	}
}

func TestValuesComeBackAsCOMGivesThem(t *testing.T) {
	g := NewWithT(t)
	s, said, _ := connect(t)
	found, err := s.Query(t.Context(), wmi.Query{
		Namespace: wmi.CIMv2, Class: "Win32_ComputerSystem", Properties: []string{"NumberOfLogicalProcessors", "TotalPhysicalMemory", "Name", "UserName"},
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found).To(HaveLen(1))
	g.Expect(found[0].Values).To(Equal(wmi.Values{
		"NumberOfLogicalProcessors": int32(4), "TotalPhysicalMemory": "4294967296", "Name": "HV1", "UserName": nil,
	}))
	g.Expect(said.said).To(BeEmpty())
}

func TestWorkGoesOnAsAJobThatTellsNothingElse(t *testing.T) {
	g := NewWithT(t)
	s, said, world := connect(t)
	text, err := s.Text(t.Context(), wmi.Draft{Namespace: wmi.Virtualization, Class: "Msvm_VirtualSystemSettingData", Set: wmi.Values{
		"ElementName": "a", "ConfigurationDataRoot": `C:\ClusterStorage\v1\a`, "Notes": []string{"mine"},
	}})
	g.Expect(err).NotTo(HaveOccurred())
	out, err := s.Call(t.Context(), service(t, s), "DefineSystem", wmi.Values{"SystemSettings": text}, "Job", "ResultingSystem")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(out).To(And(HaveKeyWithValue(wmi.ReturnValue, int32(4096)), HaveKeyWithValue("ResultingSystem", BeNil())))
	job := out.String("Job")
	state := func() int64 {
		o, err := s.Get(t.Context(), job, "JobState", "PercentComplete")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(o.Number("PercentComplete")).To(Equal(int64(100)), "it says so before its end")
		return o.Number("JobState")
	}
	g.Expect(state()).To(Equal(int64(4)))
	g.Expect(state()).To(Equal(int64(7)))
	g.Expect(world.VMs("mine")).To(Equal(1))
	g.Expect(said.said).To(BeEmpty())
}

func TestWhatHyperVRefusesIsNoFaultOfTheTest(t *testing.T) {
	g := NewWithT(t)
	s, said, _ := connect(t)
	out, err := s.Call(t.Context(), service(t, s), "DefineSystem", wmi.Values{"SystemSettings": "<A/>"}, "Job")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(out).To(Equal(wmi.Values{wmi.ReturnValue: int32(32773), "Job": nil}))
	_, err = s.Get(t.Context(), `\\HV1\root\virtualization\v2:Msvm_ComputerSystem.Key="gone"`)
	g.Expect(wmi.NotFound(err)).To(BeTrue())
	g.Expect(said.said).To(BeEmpty())
}
