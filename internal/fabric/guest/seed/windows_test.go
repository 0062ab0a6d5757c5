package seed_test

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
)

const (
	windowsNetwork  = `{"version": 1, "config": [{"type": "physical", "name": "eth0", "mac_address": "` + mac + `", "subnets": [{"type": "static", "address": "127.9.0.5/24", "gateway": "127.9.0.1", "dns_nameservers": ["127.9.0.2"]}]}]}`
	windowsUserData = "## template: jinja\n#cloud-config\nwrite_files:\n- {path: 'C:\\a', content: '{{ v1.instance_id }}'}\nruncmd:\n- echo {{ local_hostname }}\n"
)

func windowsDisk(alter ...func(*disk)) *disk {
	return newDisk(append([]func(*disk){file("network-config", windowsNetwork), file("user-data", windowsUserData)}, alter...)...)
}

func TestReadWindowsTellsAGuestWhoItIs(t *testing.T) {
	for name, d := range map[string]*disk{
		"network configuration version 1": windowsDisk(),
		"network configuration version 2": windowsDisk(file("network-config", newDisk().files["network-config"])),
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			s, err := seed.ReadWindows(d.image(g), []string{mac})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(s.Hostname).To(Equal("node-1"))
			g.Expect(s.NICs).To(Equal([]seed.NIC{{
				MAC: mac, Addresses: []netip.Prefix{netip.MustParsePrefix("127.9.0.5/24")},
				Gateway: netip.MustParseAddr("127.9.0.1"), DNS: []netip.Addr{netip.MustParseAddr("127.9.0.2")},
			}}))
			g.Expect(s.Config.Files).To(HaveKeyWithValue(`C:\a`, seed.File{Content: []byte("1234")}))
			g.Expect(s.Config.Commands).To(Equal([]string{"echo node-1"}))
		})
	}
}

func TestReadWindowsRejectsWhatCloudbaseInitWouldNotDo(t *testing.T) {
	subnets := func(of string) func(*disk) {
		return file("network-config", `{"version": 1, "config": [{"type": "physical", "name": "eth0", "mac_address": "`+mac+`", "subnets": [`+of+`]}]}`)
	}
	for _, tc := range []struct {
		name  string
		alter func(*disk)
		want  string
	}{
		{"another label", func(d *disk) { d.label = "config-2" }, `must be "cidata"`},
		{"no network configuration", without("network-config"), "no network-config"},
		{"network configuration version 3", file("network-config", "version: 3\n"), "version is 3"},
		{"a bond", file("network-config", `{"version": 1, "config": [{"type": "bond", "name": "b"}]}`), `type "bond" is not simulated`},
		{"an adapter without a name", file("network-config", `{"version": 1, "config": [{"type": "physical"}]}`), "name is missing"},
		{"no adapter", file("network-config", `{"version": 1, "config": []}`), "is not configured"},
		{"no address", subnets(``), "has no address"},
		{"DHCP", subnets(`{"type": "dhcp"}`), "no DHCP server"},
		{"a second address", subnets(`{"type": "static", "address": "127.9.0.5/24"}, {"type": "static", "address": "127.9.0.6/24"}`), "would take the place of 127.9.0.5/24"},
		{"a name server that is none", subnets(`{"type": "static", "address": "127.9.0.5/24", "dns_nameservers": ["x"]}`), "name server"},
		{"user data that is no YAML", file("user-data", "#cloud-config\nruncmd: [\n"), "not a cloud-config"},
		{"a template's variable that is not known", file("user-data", "## template: jinja\n#cloud-config\nruncmd: ['{{ v1.region }}']\n"), `"v1.region" is not known`},
		{"content that is not base64", file("user-data", "#cloud-config\nwrite_files: [{path: 'C:\\a', encoding: b64, content: '***'}]\n"), "not base64"},
		{"a command of the wrong type", file("user-data", "#cloud-config\nruncmd: [{a: b}]\n"), "runcmd[0]"},
		{"commands that are no list", file("user-data", "#cloud-config\nruncmd: a\n"), "runcmd is not a list"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := seed.ReadWindows(windowsDisk(tc.alter).image(g), []string{mac})
			g.Expect(err).To(MatchError(ContainSubstring(tc.want)))
		})
	}
}
