package hyperv

import (
	"net/netip"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// FuzzGuestsSayAddressesOrNothing has a guest write anything.
func FuzzGuestsSayAddressesOrNothing(f *testing.F) {
	item := func(name, data string) string {
		return `<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"><PROPERTY NAME="Data" TYPE="string"><VALUE>` + data +
			`</VALUE></PROPERTY><PROPERTY NAME="Name" TYPE="string"><VALUE>` + name + `</VALUE></PROPERTY></INSTANCE>`
	}
	f.Add(item("NetworkAddressIPv4", "10.0.0.1;10.0.0.2"))
	f.Add(item("NetworkAddressIPv6", "fe80::1%3;2001:db8::1"))
	f.Add(item("NetworkAddressIPv4", strings.Repeat("10.0.0.1;", 100)))
	f.Add("<!DOCTYPE a [<!ENTITY b \"c\">]>" + item("NetworkAddressIPv4", "&b;"))
	f.Add(strings.Repeat("<INSTANCE>", 1000))
	f.Fuzz(func(t *testing.T, text string) {
		addresses := guestAddresses([]string{text, text})
		if len(addresses) > maxAddresses {
			t.Fatalf("%d addresses", len(addresses))
		}
		for _, a := range addresses {
			if _, err := netip.ParseAddr(a); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzNamesFitAndStayOneOfAKind has a person give a VM any name.
func FuzzNamesFitAndStayOneOfAKind(f *testing.F) {
	const id = "0b1f4c1e-6f0e-4f0a-9a3b-1c2d3e4f5a6b"
	for _, name := range []string{"a", "", "capstan", strings.Repeat("é", 99), "a b", id} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		shown := elementName(hostapi.EnsureVMRequest{Name: name, Stamp: hostapi.Stamp{ID: id}})
		if len(shown) > maxName || !strings.HasSuffix(shown, " "+id) {
			t.Fatalf("%q is shown as %q", name, shown)
		}
	})
}

// FuzzPathsStayOnTheirVolume puts any ID and name that a request may have into a path.
func FuzzPathsStayOnTheirVolume(f *testing.F) {
	f.Add("0b1f4c1e", "boot", `C:\ClusterStorage\Volume1`)
	f.Add("..", `..\..\Windows`, `D:\`)
	f.Add("a", "NUL", `D:\`)
	f.Fuzz(func(t *testing.T, id, name, root string) {
		req := hostapi.EnsureVMRequest{
			Stamp: hostapi.Stamp{Installation: "here", ID: hostapi.VMID(id)}, Name: "a", Processors: 1, MemoryMiB: 64, Power: hostapi.PowerOff,
			Disks: []hostapi.Disk{{Name: name, Volume: "v", Bytes: 1 << 20}},
		}
		if root == "" || req.Validate() != nil || checkNames(req) != nil {
			t.Skip()
		}
		v := volume{root: root}
		path := v.disk(req.Stamp.ID, name)
		below, ok := strings.CutPrefix(path, v.vms()+`\`)
		stem, _, _ := strings.Cut(strings.ToUpper(base(path)), ".")
		if stem == "NUL" || stem == "CON" || stem == "COM1" {
			t.Fatalf("%q is a device", path)
		}
		if !ok || strings.Count(below, `\`) != 1 || strings.Contains(below, "..") || strings.ContainsAny(below, `/:*?"<>|`) {
			t.Fatalf("a disk would be at %q", path)
		}
	})
}

func TestVolumesAreToldApartByWholeNames(t *testing.T) {
	g := NewWithT(t)
	v := volume{root: `C:\ClusterStorage\Volume1`}
	g.Expect(v.contains(`c:\clusterstorage\volume1\capstan`)).To(BeTrue())
	g.Expect(v.contains(`C:\ClusterStorage\Volume10\capstan`)).To(BeFalse())
	g.Expect(volume{root: `D:\`}.contains(`D:\capstan`)).To(BeTrue())
}

func TestTheWorstFaultOfAVolumeIsTold(t *testing.T) {
	for state, want := range map[int64]hostapi.VolumeFault{
		0: hostapi.VolumeHealthy, 1: hostapi.VolumeRedirected, 2: hostapi.VolumeNoAccess, 4: hostapi.VolumeMaintenance, 8: hostapi.VolumeDismounted,
		1 | 4: hostapi.VolumeMaintenance, 2 | 8: hostapi.VolumeDismounted, 16: hostapi.VolumeRedirected,
	} {
		NewWithT(t).Expect(faultOf(state)).To(Equal(want), "%d", state)
	}
}

func TestVolumesOfAStandAloneHostAreFoldersOfItsOwn(t *testing.T) {
	g := NewWithT(t)
	for text, want := range map[string]string{
		"data=D:": `D:\`, `data=D:\`: `D:\`, `data=D:\capstan\v 1`: `D:\capstan\v 1`,
	} {
		name, folder, err := ParseVolume(text)
		g.Expect(err).NotTo(HaveOccurred(), text)
		g.Expect(name).To(Equal("data"))
		g.Expect(folder).To(Equal(want))
	}
	for _, text := range []string{
		"", "data", "=D:", `D:\`, "data=", `data=\\there\share`, `data=D:\..\Windows`, "data=D:/x", `data=relative`, `data=\\.\C:`, `da ta=D:\`,
	} {
		_, _, err := ParseVolume(text)
		g.Expect(err).To(HaveOccurred(), text)
	}
}
