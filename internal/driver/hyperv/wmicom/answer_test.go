package wmicom

import (
	"errors"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
)

func TestAnEnumerationEndsWhereItsEnumeratorSaysSo(t *testing.T) {
	for name, test := range map[string]struct {
		code         uint32
		objects      uint
		more, failed bool
	}{
		"an object":                        {0, 1, true, false},
		"the end":                          {1, 0, false, false},
		"an end that is said as a success": {0, 0, false, false},
		"no rights":                        {wmi.CodeAccessDenied, 0, false, true},
		"a host that is gone half-way":     {wmi.CodeServerUnavailable, 0, false, true},
		"a time-out":                       {0x40004, 0, false, true},
		"an object of a call that failed":  {wmi.CodeCallFailed, 1, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			more, failed := enumerated(test.code, test.objects)
			g.Expect(more).To(Equal(test.more))
			g.Expect(failed).To(Equal(test.failed))
		})
	}
}

func TestErrorsOfCOMAreToldByWhatIsInsideOfThem(t *testing.T) {
	for name, test := range map[string]struct {
		code, inner uint32
		words, want string
	}{
		"WMI's code":                         {codeException, wmi.CodeAccessDenied, "Access denied \r\n", "query A: Access denied (0x80041003)"},
		"WMI's code without words":           {codeException, wmi.CodeAccessDenied, "<nil>", "query A: the account has not the right to do this (0x80041003)"},
		"COM's own code":                     {wmi.CodeServerUnavailable, 0, "", "query A: the host does not answer (0x800706BA)"},
		"a code that nobody knows":           {0x80004001, 0, "<nil>", "query A: 0x80004001"},
		"an exception and no more":           {codeException, 0, "<nil>", "query A: WMI failed (0x80041001)"},
		"words for a code that is not known": {0x80004005, 0, "it is so", "query A: it is so (0x80004005)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			err := spoken("query A", test.code, test.inner, test.words)
			g.Expect(err.Error()).To(Equal(test.want))
			g.Expect(wmi.Denied(errors.Join(err))).To(Equal(test.inner == wmi.CodeAccessDenied))
		})
	}
}

func TestValuesThatOutliveTheirCallAreThePlainOnes(t *testing.T) {
	g := NewWithT(t)
	list := []any{int32(2), "a", nil, uint8(3)}
	g.Expect(plain(list)).To(Equal(list))
	g.Expect(plain(nil)).To(BeNil())
	for _, object := range []any{&struct{}{}, []any{int32(1), &struct{}{}}, 1.5} {
		_, err := plain(object)
		g.Expect(err).To(HaveOccurred(), "%T", object)
	}
}

func TestOnlyAPropertyThatIsNotThereIsNone(t *testing.T) {
	g := NewWithT(t)
	g.Expect(hasNone(0x80020006)).To(BeTrue())
	for _, code := range []uint32{codeOK, codeException, wmi.CodeServerUnavailable, wmi.CodeAccessDenied} {
		g.Expect(hasNone(code)).To(BeFalse(), "0x%08X", code)
	}
}

func TestPathsAreTakenApart(t *testing.T) {
	const key = `Msvm_ResourceAllocationSettingData.InstanceID="Microsoft:3FA0\\B637F347-6A0E-4DEC-AF52-BD70CB80A21D\\0"`
	for path, want := range map[string][2]string{
		`\\HV1\root\virtualization\v2:` + key: {`root\virtualization\v2`, key},
		`root\mscluster:MSCluster_Cluster`:    {`root\mscluster`, "MSCluster_Cluster"},
		`\\HV1\root\cimv2:Win32_X=@`:          {`root\cimv2`, "Win32_X=@"},
		"Msvm_ComputerSystem":                 {"Msvm_ComputerSystem", "Msvm_ComputerSystem"},
	} {
		NewWithT(t).Expect([2]string{namespaceOf(path), relative(path)}).To(Equal(want), path)
	}
}

func TestNodesAreAskedUnderTheNameOfTheirDomain(t *testing.T) {
	for name, test := range map[string]struct {
		host, domain string
		inDomain     bool
		want         [2]string
	}{
		"a node":                      {"HV2", "corp.example", true, [2]string{"HV2", "corp.example"}},
		"a node that says its domain": {"HV2.other.example", "corp.example", true, [2]string{"HV2", "other.example"}},
		"a node of a workgroup":       {"HV2", "WORKGROUP", false, [2]string{"HV2", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			host, domain := address(test.host, test.domain, test.inDomain)
			NewWithT(t).Expect([2]string{host, domain}).To(Equal(test.want))
		})
	}
}
