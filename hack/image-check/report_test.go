package main

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// console is what a guest says that is as it should be, among what else is said there.
const console = `[    7.188521] Run /init as init process
image-check: name image-check
image-check: template 6f1f0a52-3c1e-4d6e-9b0e-2f8a7a1c9d10
image-check: instance 6f1f0a52-3c1e-4d6e-9b0e-2f8a7a1c9d10
image-check: address 192.0.2.10/24
image-check: gateway 192.0.2.1
[  OK  ] Reached target multi-user.target
image-check: containerd active
image-check: crictl answered
image-check: preloaded registry.k8s.io/pause:3.10.2
image-check: sshkey AAAAC3NzaC1lZDI1NTE5
image-check: failed
image-check: swap 0
image-check: root ext4
image-check: grown yes
image-check: end`

func heard(t *testing.T, console string) report {
	t.Helper()
	g := NewWithT(t)
	r, ended := report{}, 0
	for line := range strings.Lines(console) {
		if r.read(line) {
			ended++
		}
	}
	g.Expect(ended).To(Equal(1))
	return r
}

func TestAGuestAsItShouldBeIsBelieved(t *testing.T) {
	g := NewWithT(t)
	r := heard(t, console)
	g.Expect(r.expected(true)).To(Succeed())
	g.Expect(r.same(heard(t, console))).To(Succeed())
	g.Expect(r.String()).To(Equal("image-check at 192.0.2.10/24, containerd active, 1 images preloaded"))
}

func TestAGuestThatIsNotAsItShouldBeIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"no address":           {"address 192.0.2.10/24", "address ", `address is [""]`},
		"a failed unit":        {"failed\n", "failed cloud-config.service\n", "cloud-config.service"},
		"containerd is down":   {"containerd active", "containerd failed", "containerd is"},
		"another name":         {"name image-check", "name localhost", "localhost"},
		"nothing on the swap":  {"image-check: swap 0\n", "", "swap is []"},
		"crictl is misled":     {"crictl answered", "crictl unanswered", "crictl is"},
		"a template as it was": {"template 6f1f0a52-3c1e-4d6e-9b0e-2f8a7a1c9d10", "template {{ ds.meta_data.instance_id }}", "template is"},
		"nothing is preloaded": {"preloaded registry.k8s.io/pause:3.10.2", "preloaded example.com/other:1", "no pause image"},
		"a boot within a boot": {"image-check: swap 0\n", "image-check: swap 0\nimage-check: swap 0\n", "swap is"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			changed := strings.Replace(console, c.from, c.to, 1)
			g.Expect(changed).NotTo(Equal(console))
			g.Expect(heard(t, changed).expected(true)).To(MatchError(ContainSubstring(c.want)))
		})
	}
}

func TestWithoutASeedNothingIsFilledIn(t *testing.T) {
	g := NewWithT(t)
	const filled = "image-check: template 6f1f0a52-3c1e-4d6e-9b0e-2f8a7a1c9d10\n"
	g.Expect(heard(t, console).expected(false)).To(MatchError(ContainSubstring("template is")))
	later := strings.Replace(console, filled, "", 1)
	g.Expect(heard(t, later).expected(false)).To(Succeed())
	g.Expect(heard(t, later).expected(true)).To(MatchError(ContainSubstring("template is")))
	forgotten := strings.Replace(later, "instance 6f1f0a52-3c1e-4d6e-9b0e-2f8a7a1c9d10", "instance iid-datasource-none", 1)
	g.Expect(heard(t, forgotten).expected(false)).To(MatchError(ContainSubstring("iid-datasource-none")))
}

func TestAGuestWithANewKeyIsAnotherGuest(t *testing.T) {
	g := NewWithT(t)
	other := heard(t, strings.Replace(console, "sshkey AAAA", "sshkey BBBB", 1))
	g.Expect(other.same(heard(t, console))).To(MatchError(ContainSubstring("another SSH host key")))
}
