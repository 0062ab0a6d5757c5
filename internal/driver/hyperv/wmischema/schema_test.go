package wmischema_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmischema"
)

func TestSchemasHaveWhatIsDocumentedOfClasses(t *testing.T) {
	for name, test := range map[string]struct {
		namespace, class, property string
		want                       wmischema.Type
	}{
		"a property of its own":     {wmischema.Virtualization, "Msvm_VirtualSystemSettingData", "SecureBootTemplateId", wmischema.Type{Name: "string"}},
		"an inherited one":          {wmischema.Virtualization, "Msvm_VirtualSystemSettingData", "Notes", wmischema.Type{Name: "string", Array: true}},
		"one from the root":         {wmischema.Virtualization, "Msvm_ComputerSystem", "ElementName", wmischema.Type{Name: "string"}},
		"names have no case":        {`ROOT\MSCluster`, "mscluster_clustersharedvolume", "faultstate", wmischema.Type{Name: "uint32"}},
		"what the module has wrong": {wmischema.Virtualization, "Msvm_VirtualSystemSettingData", "VirtualSystemSubType", wmischema.Type{Name: "string"}},
		"a class that is not ours":  {wmischema.CIMv2, "Win32_Volume", "FreeSpace", wmischema.Type{Name: "uint64"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			class, ok := wmischema.Find(test.namespace, test.class)
			g.Expect(ok).To(BeTrue())
			kind, ok := class.Property(test.property)
			g.Expect(ok).To(BeTrue())
			g.Expect(kind).To(Equal(test.want))
		})
	}
}

func TestMethodsSayWhatGoesInAndOut(t *testing.T) {
	g := NewWithT(t)
	class, _ := wmischema.Find(wmischema.Virtualization, "Msvm_VirtualSystemManagementService")
	define, ok := class.Method("DefineSystem")
	g.Expect(ok).To(BeTrue())
	g.Expect(define.Returns).To(BeTrue())
	g.Expect(define.In).To(And(HaveLen(3), HaveKeyWithValue("resourcesettings", wmischema.Type{Name: "string", Array: true})))
	g.Expect(define.Out).To(HaveKeyWithValue("job", wmischema.Type{Name: "ref:CIM_ConcreteJob"}))

	class, _ = wmischema.Find(wmischema.Cluster, "MSCluster_ResourceGroup")
	create, ok := class.Method("CreateGroup")
	g.Expect(ok).To(BeTrue())
	g.Expect(create.Returns).To(BeFalse(), "a method of the failover cluster returns nothing")
	g.Expect(create.In).To(HaveKey("id"))
	g.Expect(create.Out).To(HaveKey("id"))
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	g := NewWithT(t)
	_, ok := wmischema.Find(wmischema.Virtualization, "Msvm_ComputerSystems")
	g.Expect(ok).To(BeFalse())
	_, ok = wmischema.Find(`root\nowhere`, "Msvm_ComputerSystem")
	g.Expect(ok).To(BeFalse())
	class, _ := wmischema.Find(wmischema.Virtualization, "Msvm_ComputerSystem")
	_, ok = class.Property("Note")
	g.Expect(ok).To(BeFalse())
	_, ok = class.Method("DefineSystem")
	g.Expect(ok).To(BeFalse())
	g.Expect(class.Is("CIM_ManagedElement")).To(BeTrue())
	g.Expect(class.Is("CIM_SettingData")).To(BeFalse())
}
