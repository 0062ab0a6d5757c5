package hyperv_test

import (
	"context"
	"errors"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmi"
	"github.com/capstan-k8s/capstan/internal/driver/hyperv/wmifake"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// calls are the methods of a driver, by name. All of them are told of one VM.
func (h *host) calls() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"Inventory": func(ctx context.Context) error {
			_, err := h.driver.Inventory(ctx)
			return err
		},
		"EnsureVM": func(ctx context.Context) error {
			_, err := h.driver.EnsureVM(ctx, h.request())
			return err
		},
		"GetVM": func(ctx context.Context) error {
			_, err := h.driver.GetVM(ctx, id)
			return err
		},
		"ListVMs": func(ctx context.Context) error {
			_, err := h.driver.ListVMs(ctx)
			return err
		},
		"SetPower": func(ctx context.Context) error {
			_, err := h.driver.SetPower(ctx, hostapi.SetPowerRequest{Stamp: h.request().Stamp, Power: hostapi.PowerOff, Force: true})
			return err
		},
		"DeleteVM": func(ctx context.Context) error {
			return h.driver.DeleteVM(ctx, hostapi.DeleteVMRequest{Stamp: h.request().Stamp})
		},
	}
}

func TestAnAccountWithoutRightsHasAskedNobody(t *testing.T) {
	for kind, cluster := range kinds {
		for name := range newHost(t, cluster).calls() {
			t.Run(name+" "+kind, func(t *testing.T) {
				g := NewWithT(t)
				h := newHost(t, cluster)
				g.Expect(h.stage()).To(Succeed())
				g.Expect(h.ensure()).To(Succeed())
				contents := h.Contents()
				h.world.Inject(wmifake.Fault{Class: "Msvm_VirtualSystemSettingData", Method: "Query", Code: wmi.CodeAccessDenied, Times: 1})
				err := h.calls()[name](t.Context())
				g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable), "%v", err)
				g.Expect(err).To(MatchError(ContainSubstring("the account has not the right to do this (0x80041003)")))
				g.Expect(h.Contents()).To(Equal(contents))
			})
		}
	}
}

func TestNoErrorHasGosWordsForNothing(t *testing.T) {
	unread := regexp.MustCompile(`<nil>|%!|\(\*|0x0{8}`)
	for kind, cluster := range kinds {
		for cause, code := range map[string]uint32{"a code that nobody knows": 0x80004001, "no rights": wmi.CodeWin32Denied} {
			t.Run(kind+", "+cause, func(t *testing.T) {
				g := NewWithT(t)
				undisturbed := newHost(t, cluster)
				g.Expect(undisturbed.stage()).To(Succeed())
				undisturbed.client.Reset()
				g.Expect(undisturbed.ensure()).To(Succeed())
				for n := range undisturbed.Calls() {
					h := newHost(t, cluster)
					g.Expect(h.stage()).To(Succeed())
					h.client.Trip(n, false, code)
					err := h.ensure()
					if err == nil {
						continue
					}
					g.Expect(err.Error()).NotTo(MatchRegexp(unread.String()), "call %d", n)
					var typed *hostapi.Error
					g.Expect(errors.As(err, &typed)).To(BeTrue(), "call %d: %v", n, err)
					g.Expect(typed.Op).To(Equal("EnsureVM"))
				}
			})
		}
	}
}

func TestAVMThatTheClusterMovesBetweenTwoCallsIsNeitherLostNorDoubled(t *testing.T) {
	for name := range newHost(t, "fc1").calls() {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			begin := func(n int) (*host, *meddler) {
				h := newHost(t, "fc1")
				g.Expect(h.stage()).To(Succeed())
				g.Expect(h.ensure()).To(Succeed())
				return h, h.meddle(n, func() { h.world.Migrate(string(id), "HV2", true) })
			}
			h, undisturbed := begin(-1)
			contents := h.Contents()
			g.Expect(h.calls()[name](t.Context())).To(Succeed())
			for n := range undisturbed.calls {
				h, _ := begin(n)
				if err := h.calls()[name](t.Context()); err != nil {
					g.Expect(hostapi.ClassOf(err)).To(BeElementOf(hostapi.Transient, hostapi.HostUnreachable), "call %d: %v", n, err)
				}
				g.Expect(h.world.VMs(string(id))).To(BeNumerically("<=", 1), "call %d", n)
				if name == "DeleteVM" {
					g.Expect(deleted(t.Context(), h)).To(Succeed(), "call %d", n)
					continue
				}
				g.Expect(h.ensure()).To(Succeed(), "call %d", n)
				g.Expect(h.Contents()).To(Equal(contents), "call %d", n)
			}
		})
	}
}

// deleted deletes until nothing is left.
func deleted(ctx context.Context, h *host) error {
	for range 10 {
		switch err := h.calls()["DeleteVM"](ctx); {
		case hostapi.Is(err, hostapi.NotFound):
			return nil
		case err != nil && !hostapi.Is(err, hostapi.Transient):
			return err
		}
	}
	return errors.New("it is still there")
}

func TestVMMSThatRestartsInTheMiddleOfACallSaysNothingOfTheVM(t *testing.T) {
	for kind, cluster := range kinds {
		for name := range newHost(t, cluster).calls() {
			t.Run(name+" "+kind, func(t *testing.T) {
				g := NewWithT(t)
				h := newHost(t, cluster)
				g.Expect(h.stage()).To(Succeed())
				g.Expect(h.ensure()).To(Succeed())
				contents := h.Contents()
				h.meddle(2, func() { h.client.SetReachable(false) })
				err := h.calls()[name](t.Context())
				g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.HostUnreachable), "%v", err)
				h.client.SetReachable(true)
				g.Expect(h.Contents()).To(Equal(contents))
				g.Expect(h.calls()[name](t.Context())).To(Succeed(), "the same driver goes on")
			})
		}
	}
}

func TestWhatIsNotThereIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		spoil    func(*host, *hostapi.EnsureVMRequest)
		class    hostapi.Class
		resource string
	}{
		"a switch":                {func(_ *host, r *hostapi.EnsureVMRequest) { r.NICs[0].Switch = "nowhere" }, hostapi.Conflict, "nowhere"},
		"a cluster shared volume": {func(_ *host, r *hostapi.EnsureVMRequest) { r.Disks[1].Volume = "nowhere" }, hostapi.VolumeFaulted, "nowhere"},
		"an image": {func(_ *host, r *hostapi.EnsureVMRequest) {
			r.Disks[0].Image = &hostapi.ImageRef{Name: "another", SHA256: strings.Repeat("0", 64)}
		}, hostapi.Conflict, strings.Repeat("0", 64)},
		"the parent that somebody removed": {func(h *host, r *hostapi.EnsureVMRequest) {
			h.world.RemoveFile(h.volumes["csv1"] + `\capstan\images\` + r.Disks[0].Image.SHA256 + ".vhdx")
		}, hostapi.Conflict, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost(t, "fc1")
			g.Expect(h.stage()).To(Succeed())
			req := h.request()
			test.spoil(h, &req)
			_, err := h.driver.EnsureVM(t.Context(), req)
			var typed *hostapi.Error
			g.Expect(errors.As(err, &typed)).To(BeTrue())
			g.Expect(typed.Class).To(Equal(test.class))
			if test.resource != "" {
				g.Expect(typed.Resource).To(Equal(test.resource))
			}
			g.Expect(h.world.VMs(string(id))).To(BeNumerically("<=", 1))
			g.Expect(deleted(t.Context(), h)).To(Succeed())
		})
	}
}

func TestAVolumeThatFillsUpHalfwayThroughACopyIsOutOfCapacity(t *testing.T) {
	for kind, cluster := range kinds {
		t.Run(kind, func(t *testing.T) {
			g := NewWithT(t)
			h := newHost(t, cluster)
			h.world.FillVolume(h.volumes["csv1"], 300)
			var full *hostapi.Error
			g.Expect(errors.As(h.stage(), &full)).To(BeTrue())
			g.Expect([]string{string(full.Class), full.Resource}).To(Equal([]string{string(hostapi.OutOfCapacity), hostapi.ResourceVolume}))
			inventory, err := h.driver.Inventory(t.Context())
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(inventory.Images).To(BeEmpty(), "half an image is none")
			h.EmptyVolume("csv1")
			h.opened = nil
			g.Expect(h.stage()).To(Succeed())
			g.Expect(h.opened).To(Equal([]int64{256}), "it goes on where it ended")
		})
	}
}

func TestTwoAgentsConfiguredForOneHostMakeOneVM(t *testing.T) {
	for kind, cluster := range kinds {
		t.Run(kind, func(t *testing.T) {
			g := NewWithT(t)
			undisturbed := newHost(t, cluster)
			g.Expect(undisturbed.stage()).To(Succeed())
			undisturbed.client.Reset()
			g.Expect(undisturbed.ensure()).To(Succeed())
			for n := range undisturbed.Calls() {
				h := newHost(t, cluster)
				g.Expect(h.stage()).To(Succeed())
				h.client.CrashAfter(n)
				g.Expect(h.ensure()).NotTo(Succeed())
				// The other one keeps its own state, and its first call comes in between.
				other := h.world.Client("HV1")
				driver, err := hyperv.New(t.Context(), hyperv.Options{
					Host: "HV1", StateDir: `C:\elsewhere`, Volumes: h.volumes, WMI: other, Files: other.Files(), Sources: h, Pause: h.pause, Piece: 256,
				})
				g.Expect(err).NotTo(HaveOccurred())
				_, err = driver.EnsureVM(t.Context(), h.request())
				g.Expect(err).NotTo(HaveOccurred(), "call %d", n)
				h.Restart()
				g.Expect(h.ensure()).To(Succeed(), "call %d", n)
				g.Expect(h.world.VMs(string(id))).To(Equal(1), "call %d", n)
			}
		})
	}
}

func TestAClaimOfANodeThatLeftItsClusterIsTakenOver(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "fc1")
	g.Expect(h.stage()).To(Succeed())
	h.client.CrashAfter(12)
	g.Expect(h.ensure()).NotTo(Succeed())
	h.Restart()
	session, err := h.client.Dial(t.Context(), "")
	g.Expect(err).NotTo(HaveOccurred())
	groups, err := session.Query(t.Context(), wmi.Query{Namespace: wmi.Cluster, Class: "MSCluster_ResourceGroup", Properties: []string{"Name", "Description"}})
	g.Expect(err).NotTo(HaveOccurred())
	claimed := false
	for _, group := range groups {
		if strings.HasPrefix(group.String("Name"), "capstan ") {
			claimed = true
			said := strings.Replace(group.String("Description"), `"HV1"`, `"HV1-UNDER-ITS-FORMER-NAME"`, 1)
			g.Expect(session.Put(t.Context(), group.Path, wmi.Values{"Description": said})).To(Succeed())
		}
	}
	g.Expect(claimed).To(BeTrue())
	vm, err := h.driver.EnsureVM(t.Context(), h.request())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(vm.Host).To(Equal("HV1"))
	g.Expect(h.world.VMs(string(id))).To(Equal(1))
}

func TestASourceThatIsNotThereIsNamed(t *testing.T) {
	g := NewWithT(t)
	h := newHost(t, "")
	delete(h.sources, source)
	err := h.stage()
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Conflict))
	g.Expect(err).To(MatchError(ContainSubstring(source)))
	g.Expect(errors.Is(err, fs.ErrNotExist)).To(BeFalse(), "it is no file of the host that is missing")
}
