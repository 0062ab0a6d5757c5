package machinectr_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
	"github.com/capstan-k8s/capstan/internal/hostapi"
)

func (h *host) faults() map[string]hostapi.VolumeFault {
	inventory, err := h.driver.Inventory(h.t.Context())
	h.g.Expect(err).NotTo(HaveOccurred())
	out := map[string]hostapi.VolumeFault{}
	for _, v := range inventory.Volumes {
		out[v.Name] = v.Fault
	}
	return out
}

func TestAVolumeThatIsNotBackAfterABootIsFaultedAndTheHostComesUp(t *testing.T) {
	for name, lose := range map[string]func(h *host, backing string){
		"its file is gone":      func(*host, string) {},
		"its file is empty":     func(h *host, backing string) { h.g.Expect(os.WriteFile(backing, nil, 0o600)).To(Succeed()) },
		"its file is another's": func(h *host, backing string) { h.newFileSystem(backing) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			g := NewWithT(t)
			h.stage()
			req := h.request(1)
			req.Power = hostapi.PowerOff
			_, err := h.driver.EnsureVM(t.Context(), req)
			g.Expect(err).NotTo(HaveOccurred())
			v := h.volume("csv1")
			backing := v.Path + ".img"
			command(t, "umount", v.Path)
			g.Expect(os.Rename(backing, backing+".kept")).To(Succeed())
			bringBack := func() {
				if h.isMounted(v.Path) {
					command(t, "umount", v.Path)
				}
				g.Expect(os.Rename(backing+".kept", backing)).To(Succeed())
			}
			t.Cleanup(func() {
				if _, err := os.Stat(backing + ".kept"); err == nil {
					bringBack()
				}
			})
			lose(h, backing)

			h.Restart()
			g.Expect(h.faults()).To(Equal(map[string]hostapi.VolumeFault{"csv1": hostapi.VolumeDismounted, "csv2": hostapi.VolumeHealthy}))
			_, err = h.driver.EnsureVM(t.Context(), req)
			g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.VolumeFaulted), "%v", err)

			bringBack()
			h.Restart()
			g.Expect(h.faults()).To(HaveKeyWithValue("csv1", hostapi.VolumeHealthy))
			_, err = h.driver.EnsureVM(t.Context(), req)
			g.Expect(err).NotTo(HaveOccurred())
		})
	}
}

func (h *host) newFileSystem(path string) {
	f, err := os.Create(path)
	h.g.Expect(err).NotTo(HaveOccurred())
	h.g.Expect(f.Truncate(volumeBytes)).To(Succeed())
	h.g.Expect(f.Close()).To(Succeed())
	command(h.t, "mkfs.ext4", "-q", "-F", path)
}

func TestAFolderInPlaceOfAVolumeIsNoVolume(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	v := machinectr.Volume{Name: "plain", Path: filepath.Join(h.dir, "plain")}
	g.Expect(os.Mkdir(v.Path, 0o700)).To(Succeed())
	h.options.Volumes = append(h.options.Volumes, v)
	h.Restart()
	g.Expect(h.faults()).To(HaveKeyWithValue("plain", hostapi.VolumeHealthy))
	g.Expect(os.Rename(v.Path, v.Path+".kept")).To(Succeed())
	for _, again := range []func(){func() {}, h.Restart} {
		again()
		g.Expect(h.faults()).To(HaveKeyWithValue("plain", hostapi.VolumeDismounted), "nothing is there")
	}
	g.Expect(os.MkdirAll(filepath.Join(v.Path, "capstan", "vms"), 0o700)).To(Succeed())
	for _, again := range []func(){func() {}, h.Restart} {
		again()
		g.Expect(h.faults()).To(HaveKeyWithValue("plain", hostapi.VolumeDismounted), "a folder is there")
	}
	g.Expect(os.RemoveAll(v.Path)).To(Succeed())
	g.Expect(os.Rename(v.Path+".kept", v.Path)).To(Succeed())
	g.Expect(h.faults()).To(HaveKeyWithValue("plain", hostapi.VolumeHealthy))
}

func TestAnImageThatHasNoRoomLeavesTheVolumeAsItWas(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	large := filepath.Join(h.dir, "large")
	g.Expect(os.WriteFile(large, nil, 0o600)).To(Succeed())
	g.Expect(os.Truncate(large, 2*volumeBytes)).To(Succeed())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		piece := make([]byte, 1<<20)
		for range 2 * volumeBytes / len(piece) {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	for name, source := range map[string]string{"of a known size": large, "of a size nobody tells": server.URL} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			copied := int64(0)
			_, err := h.driver.StageImage(t.Context(), hostapi.StageImageRequest{
				Image: h.Site().Image, Volume: "csv1", Source: source, Progress: func(done, _ int64) { copied = done },
			})
			g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.OutOfCapacity), "%v", err)
			if source == large {
				g.Expect(copied).To(BeZero())
			}
			g.Expect(filepath.Glob(filepath.Join(h.volume("csv1").Path, "capstan", "images", "*"))).To(BeEmpty())
		})
	}
	h.stage()
}

func TestAPipeIsNoImage(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	pipe := filepath.Join(h.dir, "pipe")
	g.Expect(syscall.Mkfifo(pipe, 0o600)).To(Succeed())
	ended := make(chan error, 1)
	go func() {
		_, err := h.driver.StageImage(t.Context(), hostapi.StageImageRequest{Image: h.Site().Image, Volume: "csv1", Source: pipe})
		ended <- err
	}()
	var err error
	g.Eventually(ended).WithTimeout(10 * time.Second).Should(Receive(&err))
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Conflict), "%v", err)
}

func TestAMachineWithoutRoomForGuestsIsNoFullVolume(t *testing.T) {
	h := newHost(t)
	g := NewWithT(t)
	h.stage()
	g.Expect(h.driver.Close()).To(Succeed())
	command(t, "mount", "-t", "tmpfs", "-o", "size=8k", "full", h.options.RunDir)
	h.Restart()
	t.Cleanup(func() {
		g.Expect(h.driver.Close()).To(Succeed())
		command(t, "umount", h.options.RunDir)
	})
	g.Expect(os.WriteFile(filepath.Join(h.options.RunDir, "full"), make([]byte, 8<<10), 0o600)).To(Succeed())
	_, err := h.driver.EnsureVM(t.Context(), h.request(1))
	g.Expect(err).To(MatchError(syscall.ENOSPC))
	g.Expect(hostapi.ClassOf(err)).To(Equal(hostapi.Transient), "%v", err)
}
