package bootstrap_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	"sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/cloudinit"
	"sigs.k8s.io/yaml"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
)

const joinConfiguration = `apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery:
  bootstrapToken:
    token: abcdef.0123456789abcdef
nodeRegistration:
  name: '{{ ds.meta_data.local_hostname }}'
  kubeletExtraArgs:
  - name: provider-id
    value: hyperv://{{ ds.meta_data.instance_id }}
`

// node is the user data of a worker, by Cluster API's own code.
func node(g Gomega, with ...func(*cloudinit.NodeInput)) []byte {
	in := &cloudinit.NodeInput{JoinConfiguration: joinConfiguration}
	for _, w := range with {
		w(in)
	}
	data, err := cloudinit.NewNode(in)
	g.Expect(err).NotTo(HaveOccurred())
	return data
}

// windowsMachine is a Windows worker.
func windowsMachine(g Gomega, with ...func(*bootstrap.Input)) bootstrap.Input {
	return machine(append([]func(*bootstrap.Input){func(in *bootstrap.Input) {
		in.OS, in.Identity.Hostname, in.UserData = bootstrap.Windows, "shop-win-x7k2p", node(g)
	}}, with...)...)
}

func withAllWindowsAdditions(in *bootstrap.Input) {
	withAllAdditions(in)
	in.Additions.RegistryMirrors[1].Host = "registry.example:5000"
	in.Additions.Files = []bootstrap.File{{Path: `C:\etc\issue`, Content: []byte("<&>\x00\xff")}}
}

// windowsConfig is what cloudbase-init makes of user data.
type windowsConfig struct {
	WriteFiles []struct {
		Path, Permissions, Encoding string
		Content                     []byte
		Append                      bool
	} `json:"write_files"`
	NTP struct {
		Enabled bool
		Servers []string
	}
	Users []struct {
		Name   string
		Passwd string
		Groups []string
		Keys   []string `json:"ssh_authorized_keys"`
	}
	RunCmd []string
}

func (c windowsConfig) file(path string) string {
	content := ""
	for _, f := range c.WriteFiles {
		if f.Path == path {
			content = string(f.Content)
		}
	}
	return content
}

func windowsUserData(g Gomega, in bootstrap.Input) windowsConfig {
	text, isConfig := bytes.CutPrefix(seed(g, in)[bootstrap.UserDataFile], []byte("#cloud-config\n"))
	g.Expect(isConfig).To(BeTrue(), "cloudbase-init looks for a cloud-config at the very first byte")
	var c windowsConfig
	g.Expect(yaml.UnmarshalStrict(text, &c)).To(Succeed())
	return c
}

func TestSeedHasWhatCloudbaseInitReads(t *testing.T) {
	for _, tc := range []struct {
		name string
		with []func(*bootstrap.Input)
	}{
		{"windows", nil},
		{"windows-with-additions", []func(*bootstrap.Input){withAllWindowsAdditions}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			files := seed(g, windowsMachine(g, tc.with...))
			g.Expect(files).To(HaveLen(3))
			golden(g, tc.name+".user-data", files[bootstrap.UserDataFile])
			golden(g, tc.name+".meta-data", files[bootstrap.MetaDataFile])
			golden(g, tc.name+".network-config", files[bootstrap.NetworkConfigFile])
		})
	}
}

func TestWindowsMachinesJoinAsClusterAPISays(t *testing.T) {
	g := NewWithT(t)
	c := windowsUserData(g, windowsMachine(g))
	config := c.file(`C:\run\kubeadm\kubeadm-join-config.yaml`)
	g.Expect(config).To(ContainSubstring("name: 'shop-win-x7k2p'"))
	g.Expect(config).To(ContainSubstring("value: hyperv://0b1f4c1e-6f0e-4f0a-9a3b-1c2d3e4f5a6b"))
	g.Expect(config).NotTo(ContainSubstring("{{"))
	g.Expect(c.file(`C:\run\cluster-api\placeholder`)).NotTo(BeEmpty(), "the folder of the marker must be there")
	g.Expect(c.RunCmd).To(Equal([]string{
		`cd /d C:\`,
		`powershell -NoProfile -Command "Set-DnsClientGlobalSetting -SuffixSearchList @('shop.example')"`,
		`icacls C:\run /inheritance:r /grant:r *S-1-5-18:(OI)(CI)F *S-1-5-32-544:(OI)(CI)F /T /Q`,
		`kubeadm join --config C:\run\kubeadm\kubeadm-join-config.yaml && echo success > C:\run\cluster-api\bootstrap-success.complete`,
		`del /f /q C:\run\kubeadm\kubeadm-join-config.yaml`,
	}))
}

func TestWindowsMachinesDoWhatElseTheirUserDataAsksFor(t *testing.T) {
	g := NewWithT(t)
	in := windowsMachine(g, func(in *bootstrap.Input) {
		in.Additions.NTPServers = []string{"10.1.0.123"}
		in.UserData = node(g, func(n *cloudinit.NodeInput) {
			n.PreKubeadmCommands = []string{`powershell C:/before.ps1 "{{ v1.local_hostname }}"`}
			n.PostKubeadmCommands = []string{"sc.exe config kubelet start= auto"}
			n.KubeadmVerbosity = "--v 5"
			n.AdditionalFiles = []bootstrapv1.File{
				{Path: "C:/before.ps1", Owner: "root:root", Permissions: "0644", Content: "Write-Host $env:COMPUTERNAME # {{ ds.meta_data[\"instance_id\"] }}"},
				{Path: "/etc/kubernetes/x", Encoding: bootstrapv1.Base64, Content: "aGVsbG8="},
			}
			enabled := true
			n.NTP = &bootstrapv1.NTP{Enabled: &enabled, Servers: []string{"ntp.example"}}
			n.Users = []bootstrapv1.User{{Name: "capi", Groups: "Administrators, Ops", SSHAuthorizedKeys: []string{"ssh-ed25519 AAAA me"}}}
		})
	})
	c := windowsUserData(g, in)
	g.Expect(c.file(`C:\before.ps1`)).To(HavePrefix("Write-Host $env:COMPUTERNAME # 0b1f4c1e-"))
	g.Expect(c.file(`C:\etc\kubernetes\x`)).To(Equal("hello"))
	g.Expect(c.NTP.Enabled).To(BeTrue())
	g.Expect(c.NTP.Servers).To(Equal([]string{"10.1.0.123", "ntp.example"}))
	g.Expect(c.Users).To(HaveLen(1))
	g.Expect(c.Users[0].Groups).To(Equal([]string{"Administrators", "Ops"}))
	g.Expect(c.Users[0].Keys).To(Equal([]string{"ssh-ed25519 AAAA me"}))
	g.Expect(c.RunCmd[2]).To(Equal(`powershell C:/before.ps1 "shop-win-x7k2p"`))
	g.Expect(c.RunCmd[4]).To(HavePrefix(`kubeadm join --config C:\run\kubeadm\kubeadm-join-config.yaml --v 5 && echo success`))
	g.Expect(c.RunCmd[5]).To(Equal("sc.exe config kubelet start= auto"))
}

func TestWindowsAddressesKeepTheirOwnGateways(t *testing.T) {
	g := NewWithT(t)
	var config struct {
		Version int
		Config  []struct {
			MACAddress string `json:"mac_address"`
			Subnets    []struct{ Address, Gateway string }
		}
	}
	in := windowsMachine(g)
	g.Expect(json.Unmarshal(seed(g, in)[bootstrap.NetworkConfigFile], &config)).To(Succeed())
	g.Expect(config.Version).To(Equal(1))
	g.Expect(config.Config[0].MACAddress).To(Equal("02:aa:bb:cc:dd:ee"))
	for i, subnet := range config.Config[0].Subnets {
		g.Expect(subnet.Address).To(Equal(in.NICs[0].Addresses[i].String()))
		g.Expect(subnet.Gateway).To(Equal(in.NICs[0].Gateways[i].String()))
	}
}

func TestSeedRefusesWhatAWindowsGuestWouldNotDo(t *testing.T) {
	const join = "- kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml  && echo success > /run/cluster-api/bootstrap-success.complete"
	userData := func(text string) func(*bootstrap.Input) {
		return func(in *bootstrap.Input) { in.UserData = []byte(text) }
	}
	for _, tc := range []struct {
		name        string
		field, says string
		with        func(*bootstrap.Input)
	}{
		{"a name that is cut off", "identity.hostname", "15 characters", func(in *bootstrap.Input) { in.Identity.Hostname = "shop-windows-x7k" }},
		{"a load balancer", "loadBalancer", "not supported", func(in *bootstrap.Input) {
			in.LoadBalancer = &bootstrap.LoadBalancer{Config: []byte("x")}
		}},
		{"two addresses of a family", "nics[0].addresses[2]", "second one", func(in *bootstrap.Input) {
			in.NICs[0].Addresses = append(in.NICs[0].Addresses, netip.MustParsePrefix("10.1.2.4/24"))
		}},
		{"a Linux path", "additions.files[0].path", "absolute path such as", func(in *bootstrap.Input) {
			in.Additions.Files = []bootstrap.File{{Path: "/etc/x"}}
		}},
		{"a stream of a file", "additions.files[0].path", "absolute path such as", func(in *bootstrap.Input) {
			in.Additions.Files = []bootstrap.File{{Path: `C:\x:y`}}
		}},
		{"one file twice, for Windows", "additions.files[1].path", "listed twice", func(in *bootstrap.Input) {
			in.Additions.Files = []bootstrap.File{{Path: `C:\x`}, {Path: `c:\X`}}
		}},
		{"permissions of a file", "additions.files[0]", "for Linux", func(in *bootstrap.Input) {
			in.Additions.Files = []bootstrap.File{{Path: `C:\x`, Permissions: "0600"}}
		}},
		{"a script", "userData", "begins with neither", userData("#ps1\nhello")},
		{"text that is no YAML", "userData", "cannot be read as YAML", userData("#cloud-config\nruncmd: [")},
		{"one key twice", "userData", "cannot be read as YAML", userData("#cloud-config\nruncmd: []\nruncmd: []\n")},
		{"a list", "userData", "is not a map", userData("#cloud-config\n- a\n")},
		{"boot commands", "userData", "has bootcmd, which cloudbase-init would not heed", userData("#cloud-config\nbootcmd: [a]\n")},
		{"mounts", "userData", "has mounts", userData("#cloud-config\nmounts: [[a, b]]\n")},
		{"a key that could be anything", "userData", "has a key that is not known", userData("#cloud-config\n'a b': 1\n")},
		{"a file without its place", "userData", "write_files[0]", userData("#cloud-config\nwrite_files: [{content: x}]\n")},
		{"a relative path", "userData", "not an absolute path", userData("#cloud-config\nwrite_files: [{path: a/b}]\n")},
		{"a path that leaves its folder", "userData", "not an absolute path", userData("#cloud-config\nwrite_files: [{path: C:/a/../b}]\n")},
		{"an owner", "userData", "write_files[0] has an owner", userData("#cloud-config\nwrite_files: [{path: /a, owner: 'etcd:etcd'}]\n")},
		{"permissions in words", "userData", "not octal", userData("#cloud-config\nwrite_files: [{path: /a, permissions: rwx}]\n")},
		{"an encoding", "userData", "encoding is not known", userData("#cloud-config\nwrite_files: [{path: /a, encoding: gzip}]\n")},
		{"a deferred file", "userData", "write_files[0] has defer", userData("#cloud-config\nwrite_files: [{path: /a, defer: true}]\n")},
		{"a shell of a user", "userData", "users[0] has shell", userData("#cloud-config\nusers: [{name: a, shell: /bin/bash}]\n")},
		{"a user without a name", "userData", "users[0] has no name", userData("#cloud-config\nusers: [{gecos: a}]\n")},
		{"a command that is none", "userData", "runcmd[0] is neither", userData("#cloud-config\nruncmd: [{a: b}]\n")},
		{"a control plane", "userData", "runcmd[0] runs kubeadm in a way that is not known", userData("#cloud-config\nruncmd: [kubeadm init]\n")},
		{"another way to join", "userData", "runcmd[1] runs kubeadm", userData("#cloud-config\nruncmd:\n" + join + "\n- C:\\k\\kubeadm.exe join x\n")},
		{"a template of a script", "userData", "template of something else", userData("## template: jinja\n#ps1\n")},
		{"a statement of a template", "userData", "line 3: of templates only variables", userData("## template: jinja\n#cloud-config\nruncmd: ['{% if a %}']\n")},
		{"a variable that is not known", "userData", "line 3: the template's variable v1.region is not known", userData("## template: jinja\n#cloud-config\nruncmd: ['{{ v1.region }}']\n")},
		{"a filter", "userData", "line 3: of templates only variables", userData("## template: jinja\n#cloud-config\nruncmd: ['{{ a | b }}']\n")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := bootstrap.Seed(windowsMachine(g, tc.with))
			g.Expect(err).To(MatchError(ContainSubstring(tc.field + ": ")))
			g.Expect(err).To(MatchError(ContainSubstring(tc.says)))
		})
	}
}

func TestErrorsAboutWindowsHoldNoSecrets(t *testing.T) {
	const secret = "hunter2"
	for _, text := range []string{
		"#cloud-config\n" + secret, "#cloud-config\n- " + secret, "#cloud-config\n'" + secret + " x': 1",
		"#cloud-config\nwrite_files: " + secret, "#cloud-config\nwrite_files: [" + secret + "]",
		"#cloud-config\nwrite_files: [{path: /a, content: [" + secret + "]}]", "#cloud-config\nwrite_files: [{path: /a, owner: " + secret + "}]",
		"#cloud-config\nwrite_files: [{path: /a, permissions: " + secret + "}]", "#cloud-config\nwrite_files: [{path: /a, encoding: " + secret + "}]",
		"#cloud-config\nusers: [{name: a, passwd: [" + secret + "]}]", "#cloud-config\nusers: [{name: a, groups: {a: " + secret + "}}]",
		"#cloud-config\nntp: " + secret, "#cloud-config\nntp: {servers: " + secret + "}",
		"#cloud-config\nruncmd: " + secret, "#cloud-config\nruncmd: [{a: " + secret + "}]", "#cloud-config\nruncmd: ['kubeadm join --token " + secret + "']",
		"## template: jinja\n#cloud-config\na: {{ '" + secret + "' }}", "## template: jinja\n#cloud-config\na: {{ " + secret + " ", "#cloud-config\na: [" + secret,
	} {
		g := NewWithT(t)
		_, err := bootstrap.Seed(windowsMachine(g, func(in *bootstrap.Input) { in.UserData = []byte(text) }))
		g.Expect(err).To(HaveOccurred(), text)
		g.Expect(err.Error()).NotTo(ContainSubstring(secret))
	}
}

func TestWindowsAdditionsGoByTheirOwnWays(t *testing.T) {
	g := NewWithT(t)
	c := windowsUserData(g, windowsMachine(g, withAllWindowsAdditions))
	g.Expect(c.file(`C:\etc\issue`)).To(Equal("<&>\x00\xff"))
	g.Expect(c.file(`C:\ProgramData\capstan\trust\ca-0.crt`)).To(HavePrefix("-----BEGIN CERTIFICATE-----"))
	g.Expect(c.file(`C:\Program Files\containerd\certs.d\docker.io\hosts.toml`)).To(ContainSubstring("https://mirror.example/docker"))
	g.Expect(c.file(`C:\Program Files\containerd\certs.d\registry.example_5000_\hosts.toml`)).NotTo(BeEmpty(), "a colon cannot be part of a name")
	g.Expect(c.file(`C:\ProgramData\ssh\administrators_authorized_keys`)).To(HavePrefix("ssh-ed25519 "))
	g.Expect(c.Users[0].Groups).To(Equal([]string{"Administrators"}))
	script := strings.Join(c.RunCmd, "\n")
	g.Expect(script).To(ContainSubstring(`certutil -f -addstore Root C:\ProgramData\capstan\trust\ca-0.crt`))
	g.Expect(script).To(ContainSubstring(`Services\kubelet /v Environment /t REG_MULTI_SZ /d "HTTP_PROXY=http://user:p%%40ss@proxy.example:3128\0HTTPS_PROXY=`))
	g.Expect(script).To(ContainSubstring("Restart-Service -Force containerd"))
	g.Expect(strings.Index(script, "certutil")).To(BeNumerically("<", strings.Index(script, "kubeadm join")))
	g.Expect(strings.Index(script, "Restart-Service")).To(BeNumerically("<", strings.Index(script, "kubeadm join")))
}

// FuzzWindowsSeed shows that no text can make a seed of something else: it is
// refused, or what cloudbase-init reads has nothing but what it understands.
func FuzzWindowsSeed(f *testing.F) {
	g := NewWithT(f)
	f.Add(node(g), `C:\etc\x`, "docker.io:5000", "http://proxy:3128", "ssh-rsa AAAA me")
	f.Add([]byte("## template: jinja\n#cloud-config\nusers: [{name: a, groups: 'b, c'}]\nruncmd: [[a, b], '{{ v1[\"instance_id\"] }}']\n"), `C:\`, "_default", "http://[::1]:80/%", "")
	f.Add([]byte("#cloud-config\nwrite_files: [{path: /a, encoding: gz+b64, content: x, append: true}]\nntp: {pools: [a]}\n"), `\\x\y`, "a", "", "")
	f.Fuzz(func(t *testing.T, userData []byte, path, registry, proxy, key string) {
		g := NewWithT(t)
		in := windowsMachine(g, func(in *bootstrap.Input) {
			in.UserData = userData
			in.Additions = bootstrap.Additions{
				RegistryMirrors: []bootstrap.RegistryMirror{{Host: registry, Endpoints: []string{"https://mirror.example"}}},
				Proxy:           bootstrap.Proxy{HTTP: proxy},
				User:            &bootstrap.User{Name: "ops", AuthorizedKeys: []string{key}},
				Files:           []bootstrap.File{{Path: path}},
			}
		})
		if _, err := bootstrap.Seed(in); err != nil {
			return
		}
		c := windowsUserData(g, in)
		g.Expect(c.RunCmd[0]).To(Equal(`cd /d C:\`))
		for _, f := range c.WriteFiles {
			g.Expect(f.Path).To(MatchRegexp(`^[A-Za-z]:\\[^:]+$`))
		}
	})
}
