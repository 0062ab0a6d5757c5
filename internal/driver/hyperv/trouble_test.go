package hyperv_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

const id = hostapi.VMID("0b1f4c1e-6f0e-4f0a-9a3b-1c2d3e4f5a6b")

func (h *host) request() hostapi.EnsureVMRequest {
	image := h.Site().Image
	return hostapi.EnsureVMRequest{
		Stamp: hostapi.Stamp{Installation: "here", ID: id}, Name: "a", Owner: "team/a", OS: hostapi.Linux,
		Processors: 2, MemoryMiB: 1024, Power: hostapi.PowerOn, Seed: []byte("seed"),
		Disks: []hostapi.Disk{
			{Name: "boot", Volume: "csv1", Bytes: 2 * imageBytes, Image: &image},
			{Name: "data", Volume: "csv2", Bytes: 1 << 30},
		},
		NICs: []hostapi.NIC{{Switch: network, VLAN: 7, MAC: hostapi.MACAddress(id, 0)}},
	}
}

func (h *host) stage() error {
	_, err := h.driver.StageImage(h.t.Context(), hostapi.StageImageRequest{Image: h.Site().Image, Volume: "csv1", Source: source})
	return err
}

func (h *host) ensure() error {
	_, err := h.driver.EnsureVM(h.t.Context(), h.request())
	return err
}

// kinds are the hosts that there are.
var kinds = map[string]string{"on a stand-alone host": "", "in a failover cluster": "fc1"}

func TestOneCallThatFailsIsToldAsSuchAndMadeGoodByTheNext(t *testing.T) {
	for kind, cluster := range kinds {
		for cause, c := range map[string]struct {
			code  uint32
			after bool
		}{
			"rights are missing":                 {wmi.CodeAccessDenied, false},
			"VMMS is restarted before an effect": {wmi.CodeServerUnavailable, false},
			"VMMS is restarted after an effect":  {wmi.CodeCallFailed, true},
		} {
			t.Run(kind+", "+cause, func(t *testing.T) {
				g := NewWithT(t)
				undisturbed := newHost(t, cluster)
				g.Expect(undisturbed.stage()).To(Succeed())
				undisturbed.client.Reset()
				g.Expect(undisturbed.ensure()).To(Succeed())
				calls, end := undisturbed.Calls(), undisturbed.Contents()
				told := 0
				for n := range calls {
					h := newHost(t, cluster)
					g.Expect(h.stage()).To(Succeed())
					h.client.Trip(n, c.after, c.code)
					err := h.ensure()
					// What goes wrong with a volume in the last look is told by the VM's state.
					if err != nil {
						g.Expect(hostapi.ClassOf(err)).To(BeElementOf(hostapi.HostUnreachable, hostapi.VolumeFaulted), "call %d: %v", n, err)
						told++
					}
					g.Expect(h.ensure()).To(Succeed(), "call %d", n)
					g.Expect(h.Contents()).To(Equal(end), "call %d", n)
				}
				g.Expect(told).To(BeNumerically(">", calls/2))
			})
		}
	}
}

func TestJobsInTrouble(t *testing.T) {
	for kind, cluster := range kinds {
		t.Run("whose end nobody sees are done all the same, "+kind, func(t *testing.T) {
			g := NewWithT(t)
			untroubled := newHost(t, cluster)
			g.Expect(untroubled.stage()).To(Succeed())
			g.Expect(untroubled.ensure()).To(Succeed())
			h := newHost(t, cluster)
			g.Expect(h.stage()).To(Succeed())
			h.world.TroubleJobs(wmifake.JobVanishes)
			const jobs = 15
			var err error
			for range jobs {
				if err = h.ensure(); err == nil {
					break
				}
				g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Transient), "%v", err)
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(h.Contents()).To(Equal(untroubled.Contents()))
		})
	}
	t.Run("that say nothing are Transient", func(t *testing.T) {
		g := NewWithT(t)
		h := newHost(t, "")
		g.Expect(h.stage()).To(Succeed())
		h.world.TroubleJobs(wmifake.JobFailsBare)
		g.Expect(hostapi.ClassOf(h.ensure())).To(Equal(hostapi.Transient))
	})
	t.Run("that stall are waited for as long as the caller waits", func(t *testing.T) {
		g := NewWithT(t)
		h := newHost(t, "")
		g.Expect(h.stage()).To(Succeed())
		h.world.TroubleJobs(wmifake.JobStalls)
		h.patience = 5
		g.Expect(hostapi.ClassOf(h.ensure())).To(Equal(hostapi.Transient))
	})
}

func TestARoleThatIsTakenMeanwhileIsNobodysLoss(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "fc1")
	g.Expect(h.stage()).To(Succeed())
	h.world.Inject(wmifake.Fault{Class: "MSCluster_ResourceGroup", Method: "CreateGroup", Code: wmi.CodeObjectExists, Times: 1})
	g.Expect(hostapi.ClassOf(h.ensure())).To(Equal(hostapi.Transient))
	g.Expect(h.ensure()).To(Succeed())
}

func TestAVMThatIsMovedBetweenTwoCallsIsFollowed(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "fc1")
	g.Expect(h.stage()).To(Succeed())
	g.Expect(h.ensure()).To(Succeed())
	h.world.Migrate(string(id), "HV2", false)
	_, err := h.driver.GetVM(t.Context(), id)
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Transient), "it is neither gone nor to be made again")
	g.Expect(hostapi.ClassOf(h.ensure())).To(Equal(hostapi.Transient))

	vms, err := h.driver.ListVMs(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vms).To(ConsistOf(And(HaveField("Stamp.ID", id), HaveField("Host", "HV2"), HaveField("State", hostapi.StateStarting))))

	h.world.Migrate(string(id), "HV2", true)
	contents := h.Contents()
	vm, err := h.driver.GetVM(t.Context(), id)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.Host).To(Equal("HV2"))
	g.Expect(h.ensure()).To(Succeed())
	g.Expect(h.Contents()).To(Equal(contents))
}

func TestAVMThatSomebodySavedGoesOn(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "")
	g.Expect(h.stage()).To(Succeed())
	g.Expect(h.ensure()).To(Succeed())
	contents := h.Contents()
	h.world.Save(string(id))
	vm, err := h.driver.GetVM(t.Context(), id)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.State).To(Equal(hostapi.StateFailed))
	g.Expect(h.ensure()).To(Succeed())
	g.Expect(h.Contents()).To(Equal(contents))
}

func TestANodeIsKnownByTheNameThatItsClusterHasForIt(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "fc1")
	h.driver = h.open(h.client, "hv1.a-name-that-is-longer-than-netbios-takes")
	g.Expect(h.stage()).To(Succeed())
	g.Expect(h.ensure()).To(Succeed())
	vm, err := h.driver.GetVM(t.Context(), id)
	g.Expect(err).NotTo(HaveOccurred())
	inventory, err := h.driver.Inventory(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.Host).To(Equal("HV1"))
	g.Expect(inventory.Host).To(Equal("HV1"))
}

func TestAHostThatGotAnotherNameGoesOn(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "")
	g.Expect(h.stage()).To(Succeed())
	h.client.CrashAfter(40)
	g.Expect(h.ensure()).NotTo(Succeed())
	h.Restart()
	h.driver = h.open(h.client, "RENAMED")
	vm, err := h.driver.EnsureVM(t.Context(), h.request())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.Host).To(Equal("RENAMED"))
	g.Expect(h.world.VMs(string(id))).To(Equal(1))
}

func TestWhatSomebodyWroteIntoAFolderIsInNobodysWay(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "")
	g.Expect(h.stage()).To(Succeed())
	files := h.client.Files()
	for _, folder := range []string{`D:\capstan\vms\another`, `D:\capstan\vms\` + string(id)} {
		g.Expect(files.MakeFolder(folder)).To(Succeed())
		g.Expect(files.Write(folder+`\capstan.json`, []byte("{"))).To(Succeed())
	}
	g.Expect(files.Write(`D:\capstan\images\x.json`, []byte("{"))).To(Succeed())
	contents := h.Contents()
	g.Expect(h.driver.ListVMs(t.Context())).To(BeEmpty())
	inventory, err := h.driver.Inventory(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(inventory.Images).To(HaveLen(1))
	g.Expect(hostapi.ClassOf(h.ensure())).To(Equal(hostapi.NotOwned))
	for range 3 {
		if err = h.driver.DeleteVM(t.Context(), hostapi.DeleteVMRequest{Stamp: h.request().Stamp}); err != nil {
			break
		}
	}
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.NotFound))
	g.Expect(h.Contents()).To(Equal(contents))

	g.Expect(files.MakeFolder(h.stateDir + `\claims`)).To(Succeed())
	g.Expect(files.Write(h.stateDir+`\claims\`+string(id)+".json", []byte("{"))).To(Succeed())
	g.Expect(hostapi.ClassOf(h.ensure())).To(Equal(hostapi.Transient), "a claim that says nothing is no reason to make the VM again")
}

func TestFirmwareIsToldWhoseBootLoadersToStart(t *testing.T) {
	for os, want := range map[hostapi.OS]string{
		hostapi.Linux:   "272e7447-90a4-4563-a4b9-8e4ab00526ce",
		hostapi.Windows: "1734c6e8-3154-4dda-ba5f-a874cc483422",
	} {
		t.Run(string(os), func(t *testing.T) {
			g := NewWithT(t)
			h := newHost(t, "")
			req := h.request()
			req.OS, req.Power, req.Disks = os, hostapi.PowerOff, req.Disks[1:]
			for range 2 {
				_, err := h.driver.EnsureVM(t.Context(), req)
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(h.world.Setting(string(id), "SecureBootTemplateId")).To(Equal(want), "somebody else's change is taken back")
				h.world.Tamper(string(id), "SecureBootTemplateId", "another")
			}
		})
	}
}

func TestGuestsAreHeardByKeyValueExchange(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "")
	g.Expect(h.stage()).To(Succeed())
	g.Expect(h.ensure()).To(Succeed())
	h.world.Boot(string(id))
	h.world.Report(string(id),
		wmifake.KVPItem("FullyQualifiedDomainName", "10.0.0.1"), wmifake.KVPItem("NetworkAddressIPv4", "127.0.0.1;10.0.0.7; 10.0.0.8;127.64.1.7"),
		wmifake.KVPItem("NetworkAddressIPv6", "::1;fe80::1%eth0;2001:db8::7"), "<INSTANCE", `<INSTANCE CLASSNAME="Msvm_KvpExchangeDataItem"/>`)
	vm, err := h.driver.GetVM(t.Context(), id)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.NICs[0].Addresses).To(Equal([]string{"10.0.0.7", "10.0.0.8", "127.64.1.7", "2001:db8::7"}))
}

func TestNamesAndNumbersOfAnySizeFit(t *testing.T) {
	for name, change := range map[string]func(*hostapi.EnsureVMRequest){
		"a long name":           func(r *hostapi.EnsureVMRequest) { r.Name = strings.Repeat("é", 200) },
		"a name with a quote":   func(r *hostapi.EnsureVMRequest) { r.Name = `"'<&>\` },
		"no VLAN":               func(r *hostapi.EnsureVMRequest) { r.NICs[0].VLAN = 0 },
		"no NIC":                func(r *hostapi.EnsureVMRequest) { r.NICs = nil },
		"three NICs":            func(r *hostapi.EnsureVMRequest) { r.NICs = threeNICs() },
		"as many disks as fit":  func(r *hostapi.EnsureVMRequest) { r.Disks = disks(63) },
		"an owner with a brace": func(r *hostapi.EnsureVMRequest) { r.Owner = `{"capstan":{}}` },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost(t, "fc1")
			g.Expect(h.stage()).To(Succeed())
			req := h.request()
			change(&req)
			vm, err := h.driver.EnsureVM(t.Context(), req)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(vm.Name).To(Equal(req.Name))
			g.Expect(vm.Disks).To(HaveLen(len(req.Disks)))
			g.Expect(vm.NICs).To(HaveLen(len(req.NICs)))
			contents := h.Contents()
			_, err = h.driver.EnsureVM(t.Context(), req)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(h.Contents()).To(Equal(contents))
		})
	}
	t.Run("and one disk more does not", func(t *testing.T) {
		h := newHost(t, "")
		req := h.request()
		req.Disks = disks(64)
		_, err := h.driver.EnsureVM(t.Context(), req)
		NewWithT(t).Expect(hostapi.ClassOf(err)).To(Equal(hostapi.InvalidArgument))
	})
}

func threeNICs() (out []hostapi.NIC) {
	for i := range 3 {
		out = append(out, hostapi.NIC{Switch: network, VLAN: int32(i), MAC: hostapi.MACAddress(id, i)})
	}
	return out
}

func disks(n int) (out []hostapi.Disk) {
	for i := range n {
		out = append(out, hostapi.Disk{Name: fmt.Sprintf("d%d", i), Volume: "csv1", Bytes: 1 << 30})
	}
	return out
}

func TestADriverDoesNotStartWithoutKnowingItsCluster(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "fc1")
	h.world.Isolate("HV1", true)
	client := h.world.Client("HV1")
	_, err := hyperv.New(t.Context(), hyperv.Options{Host: "HV1", WMI: client, Files: client.Files()})
	g.Expect(err).To(HaveOccurred(), "it would take itself for a host that stands alone")
}

func TestAVMThatCannotBeReadHidesNoOther(t *testing.T) {
	for kind, cluster := range kinds {
		t.Run(kind, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost(t, cluster)
			g.Expect(h.stage()).To(Succeed())
			g.Expect(h.ensure()).To(Succeed())
			other := h.request()
			other.Stamp.ID, other.Name = "1b1f4c1e-6f0e-4f0a-9a3b-1c2d3e4f5a6b", "b"
			other.NICs[0].MAC = hostapi.MACAddress(other.Stamp.ID, 0)
			_, err := h.driver.EnsureVM(t.Context(), other)
			g.Expect(err).NotTo(HaveOccurred())

			h.world.Inject(wmifake.Fault{Class: "Msvm_VirtualSystemSettingData", Method: "Associators Msvm_VirtualSystemSettingDataComponent", Code: wmi.CodeFailed, Times: 1})
			g.Expect(h.driver.ListVMs(t.Context())).To(ConsistOf(
				And(HaveField("Stamp", h.request().Stamp), HaveField("Name", "a"), HaveField("Owner", "team/a"), HaveField("Host", "HV1"), HaveField("State", hostapi.StateFailed)),
				And(HaveField("Stamp", other.Stamp), HaveField("State", hostapi.StateRunning)),
			))
			g.Expect(h.driver.ListVMs(t.Context())).To(HaveEach(HaveField("State", hostapi.StateRunning)), "it can be read again")
		})
	}
}

// torn are files of which the records of VMs cannot be read.
type torn struct{ hostfs.Files }

func (f torn) Read(path string) ([]byte, error) {
	if strings.HasSuffix(path, `\capstan.json`) {
		return nil, errors.New("data error (cyclic redundancy check)")
	}
	return f.Files.Read(path)
}

// addRole makes a clustered role of which no host has a VM.
func (h *host) addRole(name string) {
	session, err := h.client.Dial(h.t.Context(), "")
	h.g.Expect(err).NotTo(HaveOccurred())
	_, err = session.Call(h.t.Context(), wmi.ClassPath(wmi.Cluster, "MSCluster_ResourceGroup"), "CreateGroup", wmi.Values{"GroupName": name, "GroupType": 111})
	h.g.Expect(err).NotTo(HaveOccurred())
}

func TestAFolderThatCannotBeReadIsNoVM(t *testing.T) {
	gone := func(h *host) { h.RemoveVM(id) }
	for name, c := range map[string]struct {
		cluster string
		befalls func(*host)
		state   hostapi.State
	}{
		"on a stand-alone host that has no VM with it":           {"", gone, hostapi.StatePartial},
		"nor a failover cluster":                                 {"fc1", gone, hostapi.StatePartial},
		"but of a VM that is there":                              {"", func(*host) {}, hostapi.StateFailed},
		"or whose role is there":                                 {"fc1", func(h *host) { h.RemoveVM(id); h.addRole("a " + string(id)) }, hostapi.StateFailed},
		"or that a node could have of which nothing can be seen": {"fc1", func(h *host) { h.RemoveVM(id); h.world.LoseNode("HV2") }, hostapi.StateFailed},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost(t, c.cluster)
			g.Expect(h.stage()).To(Succeed())
			g.Expect(h.ensure()).To(Succeed())
			c.befalls(h)
			driver, err := hyperv.New(t.Context(), hyperv.Options{
				Host: "HV1", StateDir: h.stateDir, Volumes: h.volumes, WMI: h.client, Files: torn{h.client.Files()}, Sources: h, Pause: h.pause,
			})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(driver.ListVMs(t.Context())).To(HaveExactElements(And(HaveField("Stamp", h.request().Stamp), HaveField("State", c.state))))
		})
	}
}
