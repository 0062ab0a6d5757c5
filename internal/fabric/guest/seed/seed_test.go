package seed_test

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/bootstrap/iso9660"
	"github.com/capstan-k8s/capstan/internal/fabric/guest/seed"
)

const mac = "02:aa:bb:cc:dd:ee"

// disk is a NoCloud disk before it is written.
type disk struct {
	label string
	files map[string]string
}

func newDisk(alter ...func(*disk)) *disk {
	d := &disk{label: "cidata", files: map[string]string{
		"meta-data":      "instance-id: 1234\nlocal-hostname: node-1\n",
		"network-config": "version: 2\nethernets:\n  eth0:\n    match: {macaddress: '" + mac + "'}\n    addresses: [127.9.0.5/24]\n    gateway4: 127.9.0.1\n    nameservers: {addresses: [127.9.0.2]}\n",
		"user-data":      "#cloud-config\nwrite_files:\n- path: /etc/a\n  content: hello\nruncmd:\n- echo hi\n",
	}}
	for _, a := range alter {
		a(d)
	}
	return d
}

func file(name, content string) func(*disk) {
	return func(d *disk) { d.files[name] = content }
}

func without(name string) func(*disk) {
	return func(d *disk) { delete(d.files, name) }
}

func network(old, replacement string) func(*disk) {
	return func(d *disk) {
		d.files["network-config"] = strings.Replace(d.files["network-config"], old, replacement, 1)
	}
}

func (d *disk) image(g *WithT) []byte {
	var files []iso9660.File
	for name, content := range d.files {
		files = append(files, iso9660.File{Name: name, Content: []byte(content)})
	}
	image, err := iso9660.Image(d.label, files)
	g.Expect(err).NotTo(HaveOccurred())
	return image
}

func archive(parts ...string) string {
	var b strings.Builder
	b.WriteString("MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"xyz\"\r\n\r\n")
	for _, p := range parts {
		b.WriteString("--xyz\r\n" + p + "\r\n")
	}
	b.WriteString("--xyz--\r\n")
	return b.String()
}

func TestReadTellsAGuestWhoItIs(t *testing.T) {
	g := NewWithT(t)
	s, err := seed.Read(newDisk().image(g), []string{strings.ToUpper(mac)})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(s.InstanceID).To(Equal("1234"))
	g.Expect(s.Hostname).To(Equal("node-1"))
	g.Expect(s.NICs).To(Equal([]seed.NIC{{
		MAC: mac, Addresses: []netip.Prefix{netip.MustParsePrefix("127.9.0.5/24")},
		Gateway: netip.MustParseAddr("127.9.0.1"), DNS: []netip.Addr{netip.MustParseAddr("127.9.0.2")},
	}}))
	g.Expect(s.Config.Files).To(HaveKeyWithValue("/etc/a", seed.File{Content: []byte("hello")}))
	g.Expect(s.Config.Commands).To(Equal([]string{"echo hi"}))
}

func TestReadRejectsWhatCloudInitWould(t *testing.T) {
	for _, tc := range []struct {
		name  string
		alter func(*disk)
		want  string
	}{
		{"another label", func(d *disk) { d.label = "seed" }, "volume label"},
		{"no meta-data", without("meta-data"), "no meta-data"},
		{"no network-config", without("network-config"), "no network-config"},
		{"no user-data", without("user-data"), "no user-data"},
		{"no instance ID", file("meta-data", "local-hostname: a\n"), "instance-id is missing"},
		{"no host name", file("meta-data", "instance-id: a\n"), "local-hostname is missing"},
		{"a host name that is none", file("meta-data", "instance-id: a\nlocal-hostname: A_b\n"), "is not a host name"},
		{"meta-data that is no map", file("meta-data", "- a\n"), "not YAML"},
		{"network version 1", network("version: 2", "version: 1"), "version is 1"},
		{"another machine's adapter", network(mac, "02:00:00:00:00:01"), "no adapter of this machine has the MAC address 02:00:00:00:00:01"},
		{"an adapter that is matched by nothing", network("{macaddress: '"+mac+"'}", "{}"), "macaddress is missing"},
		{"no adapter at all", file("network-config", "version: 2\nethernets: {}\n"), "is not configured"},
		{"no address", network("addresses: [127.9.0.5/24]", "addresses: []"), "has no address"},
		{"an address without its prefix", network("127.9.0.5/24", "127.9.0.5"), "prefix length"},
		{"a gateway elsewhere", network("127.9.0.1", "127.8.0.1"), "not in the subnet"},
		{"DHCP", network("addresses:", "dhcp4: true\n    addresses:"), "no DHCP server"},
		{"a field that is misspelt", network("gateway4", "gateway"), "unknown field"},
		{"empty user data", file("user-data", "\n"), "it is empty"},
		{"a script", file("user-data", "#!/bin/sh\n"), "its first line is not"},
		{"user data that is not YAML", file("user-data", "#cloud-config\nruncmd: [\n"), "not a cloud-config"},
		{"an unknown encoding", file("user-data", "#cloud-config\nwrite_files: [{path: /a, encoding: rot13, content: x}]\n"), "encoding \"rot13\" is not known"},
		{"content that is not base64", file("user-data", "#cloud-config\nwrite_files: [{path: /a, encoding: b64, content: '***'}]\n"), "not base64"},
		{"a path that is relative", file("user-data", "#cloud-config\nwrite_files: [{path: a, content: x}]\n"), "not absolute"},
		{"a command of the wrong type", file("user-data", "#cloud-config\nruncmd: [{a: b}]\n"), "runcmd[0]"},
		{"jinja it does not know", file("user-data", "## template: jinja\n#cloud-config\nruncmd: ['{{ v1.region }}']\n"), `"v1.region" is not known`},
		{"a jinja statement", file("user-data", "## template: jinja\n#cloud-config\nruncmd: ['{% if a %}']\n"), "not supported"},
		{"a shell expression that jinja takes for a comment", file("user-data", "## template: jinja\n#cloud-config\nruncmd: ['echo ${#a}']\n"), "not supported"},
		{"a template that is declared as none", file("user-data", archive("Content-Type: text/cloud-config\r\n\r\n## template: jinja\n#cloud-config\n{}\n")), "use text/jinja2"},
		{"an unknown part", file("user-data", archive("Content-Type: text/x-shellscript\r\n\r\n#!/bin/sh\n")), "not supported"},
		{"an archive of nothing", file("user-data", archive()), "MIME"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := seed.Read(newDisk(tc.alter).image(g), []string{mac})
			g.Expect(err).To(MatchError(ContainSubstring(tc.want)))
		})
	}
}

func TestReadRefusesADiskThatIsNone(t *testing.T) {
	for name, data := range map[string][]byte{"empty": {}, "short": []byte("CD001"), "noise": bytes.Repeat([]byte{0xff}, 64<<10)} {
		t.Run(name, func(t *testing.T) {
			_, err := seed.Read(data, []string{mac})
			NewWithT(t).Expect(err).To(HaveOccurred())
		})
	}
}

func TestReadNeverRepeatsWhatASeedContains(t *testing.T) {
	g := NewWithT(t)
	_, err := seed.Read(newDisk(file("user-data", "#cloud-config\nwrite_files:\n  - content: hunter2\n path: [\n")).image(g), []string{mac})
	g.Expect(err).To(HaveOccurred())
	g.Expect(err.Error()).NotTo(ContainSubstring("hunter2"))
}

func TestJinjaIsRenderedInEverySpelling(t *testing.T) {
	for _, expression := range []string{"{{ ds.meta_data.local_hostname }}", "{{ds.meta_data.local_hostname}}", "{{ v1.local_hostname }}", "{{ local_hostname }}"} {
		t.Run(expression, func(t *testing.T) {
			g := NewWithT(t)
			d := newDisk(file("user-data", "## template: jinja\n#cloud-config\nruncmd: ['a {{ ds.meta_data.instance_id }} "+expression+" {b}']\n"))
			s, err := seed.Read(d.image(g), []string{mac})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(s.Config.Commands).To(Equal([]string{"a 1234 node-1 {b}"}))
		})
	}
}

func TestPartsAreMergedAsTheLaterOneSays(t *testing.T) {
	const first = "Content-Type: text/jinja2\r\n\r\n## template: jinja\n#cloud-config\nwrite_files: [{path: /1, content: '{{ v1.instance_id }}'}]\nruncmd: [one]\n"
	const second = "\r\n\r\n#cloud-config\n%write_files: [{path: /2, content: b}]\nruncmd: [two]\n"
	for _, tc := range []struct {
		name, header, key string
		files             []string
		commands          []string
	}{
		{"by default it replaces", "", "", []string{"/2"}, []string{"two"}},
		{"by the header of its part", "\r\nMerge-Type: list(prepend)+dict(no_replace,recurse_list)+str()", "", []string{"/1", "/2"}, []string{"two", "one"}},
		{"by its own key", "", "merge_how: list(append)+dict(recurse_array)+str()\n", []string{"/1", "/2"}, []string{"one", "two"}},
		{"by a list of maps", "", "merge_how: [{name: list, settings: [append]}, {name: dict, settings: [no_replace, recurse_list]}]\n", []string{"/1", "/2"}, []string{"one", "two"}},
		{"giving way", "", "merge_how: dict()+list()+str()\n", []string{"/1"}, []string{"one"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			d := newDisk(file("user-data", archive(first, "Content-Type: text/cloud-config"+tc.header+strings.Replace(second, "%", tc.key, 1))))
			s, err := seed.Read(d.image(g), []string{mac})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(s.Config.Commands).To(Equal(tc.commands))
			g.Expect(s.Config.Files).To(HaveLen(len(tc.files)))
			for _, f := range tc.files {
				g.Expect(s.Config.Files).To(HaveKey(f))
			}
		})
	}
}
