package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// guestTree is a tree in which nothing is missing.
func guestTree(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	tree := t.TempDir()
	files := map[string]string{
		"usr/lib/modules/6.1/modules.dep": "kernel/hv/hv_vmbus.ko:\nkernel/hv/hv_utils.ko.zst: kernel/hv/hv_vmbus.ko\nkernel/hv/hv_balloon.ko:\n" +
			"kernel/scsi/hv_storvsc.ko:\nkernel/serio/hyperv-keyboard.ko.xz:\nkernel/fs/isofs.ko:\nkernel/fs/overlay.ko:\nkernel/net/br_netfilter.ko:\n",
		"usr/lib/modules/6.1/modules.builtin": "kernel/scsi/sr_mod.ko\nkernel/fs/vfat.ko\n",
	}
	for _, name := range contractFiles {
		files[name] = ""
	}
	for name, content := range files {
		g.Expect(os.MkdirAll(filepath.Dir(filepath.Join(tree, name)), 0o750)).To(Succeed())
		g.Expect(os.WriteFile(filepath.Join(tree, name), []byte(content), 0o600)).To(Succeed())
	}
	// As Debian has it: the link leads to a place of the guest's.
	g.Expect(os.Remove(filepath.Join(tree, "initrd.img"))).To(Succeed())
	g.Expect(os.Symlink("/boot/initrd.img-6.1", filepath.Join(tree, "initrd.img"))).To(Succeed())
	return tree
}

var shippedEarly = []string{"hv_vmbus", "hv_storvsc", "hyperv_keyboard"}

func TestATreeWithAllThatHyperVAsksForIsTaken(t *testing.T) {
	g := NewWithT(t)
	g.Expect(fulfils(guestTree(t), shippedEarly)).To(Succeed())
}

func TestATreeThatCouldNotBeAGuestIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		gone  string
		early []string
		want  string
	}{
		"no signed boot loader":         {"usr/lib/shim/shimx64.efi.signed", shippedEarly, "/usr/lib/shim/shimx64.efi.signed is missing"},
		"nobody to tell its addresses":  {"usr/sbin/hv_kvp_daemon", shippedEarly, "/usr/sbin/hv_kvp_daemon is missing"},
		"no initramfs":                  {"initrd.img", shippedEarly, "/initrd.img is missing"},
		"no kernel":                     {"usr/lib/modules/6.1", shippedEarly, "there is no kernel"},
		"a misspelt module for booting": {"", []string{"hv_storvcs"}, "kernel 6.1 has no module hv_storvcs"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			tree := guestTree(t)
			if c.gone != "" {
				g.Expect(os.RemoveAll(filepath.Join(tree, c.gone))).To(Succeed())
			}
			g.Expect(fulfils(tree, c.early)).To(MatchError(ContainSubstring(c.want)))
		})
	}
}
