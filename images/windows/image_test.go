package windows_test

import (
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/capstan-k8s/capstan/images/windows"
	"github.com/capstan-k8s/capstan/internal/bootstrap"
)

func read(g Gomega, name string) string {
	text, err := fs.ReadFile(windows.Files, name)
	g.Expect(err).NotTo(HaveOccurred())
	return string(text)
}

// component is a part of an answer file.
type component struct {
	Name         string `xml:"name,attr"`
	Architecture string `xml:"processorArchitecture,attr"`
	Scope        string `xml:"versionScope,attr"`
	Disks        []struct {
		ID         int `xml:"DiskID"`
		Partitions []struct {
			Order  int
			Type   string
			Size   int
			Extend bool
		} `xml:"CreatePartitions>CreatePartition"`
	} `xml:"DiskConfiguration>Disk"`
	InstallTo int      `xml:"ImageInstall>OSImage>InstallTo>PartitionID"`
	Passwords []string `xml:"UserAccounts>AdministratorPassword>Value"`
	Key       string   `xml:"UserData>ProductKey>Key"`
	Commands  []string `xml:"RunSynchronous>RunSynchronousCommand>Path"`
}

// answers reads an answer file to its end, and returns the components by pass.
func answers(g Gomega, name string) map[string][]component {
	decoder := xml.NewDecoder(strings.NewReader(read(g, name)))
	var file struct {
		XMLName  xml.Name `xml:"urn:schemas-microsoft-com:unattend unattend"`
		Settings []struct {
			Pass       string      `xml:"pass,attr"`
			Components []component `xml:"component"`
		} `xml:"settings"`
	}
	g.Expect(decoder.Decode(&file)).To(Succeed())
	_, err := decoder.Token()
	for err == nil {
		_, err = decoder.Token()
	}
	g.Expect(errors.Is(err, io.EOF)).To(BeTrue(), "nothing but white space may follow")
	passes := map[string][]component{}
	for _, s := range file.Settings {
		g.Expect(passes).NotTo(HaveKey(s.Pass), "Windows takes the first and forgets the second")
		passes[s.Pass] = s.Components
		for _, c := range s.Components {
			g.Expect(c.Architecture).To(Equal("amd64"))
			g.Expect(c.Scope).To(Equal("nonSxS"))
		}
	}
	return passes
}

func TestSetupMakesADiskThatNodesCanExtend(t *testing.T) {
	g := NewWithT(t)
	passes := answers(g, "Autounattend.xml")
	g.Expect(passes).To(And(HaveKey("windowsPE"), HaveKey("specialize"), HaveKey("oobeSystem")))
	var setup component
	for _, c := range passes["windowsPE"] {
		if c.Name == "Microsoft-Windows-Setup" {
			setup = c
		}
	}
	g.Expect(setup.Disks).To(HaveLen(1))
	partitions := setup.Disks[0].Partitions
	var types []string
	for i, p := range partitions {
		g.Expect(p.Order).To(Equal(i + 1))
		types = append(types, p.Type)
	}
	g.Expect(types).To(Equal([]string{"EFI", "MSR", "Primary"}), "generation 2 boots by UEFI")
	g.Expect(partitions[2].Extend).To(BeTrue())
	g.Expect(setup.InstallTo).To(Equal(3))
}

func TestNoSecretIsInTheRecipe(t *testing.T) {
	g := NewWithT(t)
	for _, name := range []string{"Autounattend.xml", "sysprep.xml"} {
		for _, components := range answers(g, name) {
			for _, c := range components {
				for _, secret := range append(c.Passwords, c.Key) {
					g.Expect(secret).To(Or(BeEmpty(), MatchRegexp(`^@[A-Z_]+@$`)))
				}
			}
		}
	}
}

func TestTheBuildsPasswordOpensNoNode(t *testing.T) {
	g := NewWithT(t)
	passes := answers(g, "sysprep.xml")
	var commands []string
	for _, c := range passes["specialize"] {
		commands = append(commands, c.Commands...)
	}
	g.Expect(commands).To(ContainElement("net.exe user Administrator /active:no"))
	for _, c := range passes["oobeSystem"] {
		g.Expect(c.Passwords).To(BeEmpty())
	}
}

func TestEveryPackageHasVersionSourceAndRoomForItsChecksum(t *testing.T) {
	g := NewWithT(t)
	var list struct {
		KubernetesVersion, SandboxImage string
		Packages                        []struct {
			Name, Version, File, Source string
			SHA256                      *string
		}
	}
	decoder := json.NewDecoder(strings.NewReader(read(g, "packages.json")))
	decoder.DisallowUnknownFields()
	g.Expect(decoder.Decode(&list)).To(Succeed())
	installed := read(g, "files/Install-Node.ps1")
	for _, p := range list.Packages {
		g.Expect(p.SHA256).NotTo(BeNil(), p.Name)
		g.Expect(*p.SHA256).To(MatchRegexp(`^([0-9a-f]{64})?$`), p.Name)
		g.Expect(p.Source).To(HavePrefix("https://"), p.Name)
		g.Expect(p.Source).To(HaveSuffix("/"+p.File), p.Name)
		g.Expect(p.Source).To(ContainSubstring(p.Version), p.Name)
		g.Expect(installed).To(MatchRegexp(`[ ']%s\b`, p.Name), "nothing is listed that is not installed")
		if strings.HasPrefix(p.Name, "kube") {
			g.Expect("v" + p.Version).To(Equal(list.KubernetesVersion))
		}
	}
	linux, err := os.ReadFile("../linux/files/etc/containerd/config.toml")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(linux)).To(ContainSubstring(`sandbox = "`+list.SandboxImage+`"`), "both kinds of nodes use one")
}

func TestKubeProxyRunsWhatItsNodeHas(t *testing.T) {
	g := NewWithT(t)
	var list struct{ SandboxImage string }
	g.Expect(json.Unmarshal([]byte(read(g, "packages.json")), &list)).To(Succeed())
	var daemons appsv1.DaemonSet
	g.Expect(yaml.UnmarshalStrict([]byte(read(g, "kube-proxy.yaml")), &daemons)).To(Succeed())
	pod := daemons.Spec.Template.Spec
	g.Expect(daemons.Spec.Selector.MatchLabels).To(Equal(daemons.Spec.Template.Labels))
	g.Expect(pod.NodeSelector).To(Equal(map[string]string{"kubernetes.io/os": "windows"}))
	g.Expect(pod.HostNetwork && *pod.SecurityContext.WindowsOptions.HostProcess).To(BeTrue())
	g.Expect(pod.ServiceAccountName).To(Equal("kube-proxy"), "kubeadm has made it, with its rights")
	g.Expect(pod.Containers).To(HaveLen(1))
	proxy := pod.Containers[0]
	g.Expect(proxy.Image).To(Equal(list.SandboxImage), "it is on the node already")
	program, script, _ := strings.Cut(proxy.Command[len(proxy.Command)-1], `C:\k\`)
	g.Expect(program).To(BeEmpty())
	text := read(g, "files/"+script)
	g.Expect(read(g, "files/Install-Node.ps1")).To(And(ContainSubstring("'"+script+"'"), ContainSubstring(`$programs = 'C:\k'`)))
	for _, match := range regexp.MustCompile(`\$env:([A-Z_]+)`).FindAllStringSubmatch(text, -1) {
		g.Expect(proxy.Env).To(ContainElement(HaveField("Name", match[1])))
	}
	mount := proxy.VolumeMounts[0]
	g.Expect(pod.Volumes[0].ConfigMap.Name).To(Equal("kube-proxy"), "kubeadm's settings")
	g.Expect(text).To(ContainSubstring(`'C:` + strings.ReplaceAll(mount.MountPath, "/", `\`) + `\config.conf'`))
	// The script sets lines of what kubeadm writes, and each of them once.
	settings, err := os.ReadFile("testdata/kube-proxy-config.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	names := regexp.MustCompile(`-Name '([A-Za-z]+)'`).FindAllStringSubmatch(text, -1)
	g.Expect(names).To(HaveLen(4))
	for _, match := range names {
		g.Expect(regexp.MustCompile(`(?m)^\s*`+match[1]+`:.*$`).FindAllString(string(settings), -1)).To(HaveLen(1), match[1])
	}
}

// A checksum that is missing is refused before Windows is changed, and again where its package is used.
func TestNothingIsInstalledWithoutItsChecksum(t *testing.T) {
	g := NewWithT(t)
	installed, checked := read(g, "files/Install-Node.ps1"), read(g, "files/Test-Packages.ps1")
	steps := installed[strings.LastIndex(installed, "\n}\n"):]
	first := strings.Index(steps, "Test-Packages.ps1")
	g.Expect(first).To(BeNumerically(">", 0))
	for _, step := range regexp.MustCompile(`(?m)^(?:Install|Register)-[A-Za-z]+$`).FindAllStringIndex(steps, -1) {
		g.Expect(step[0]).To(BeNumerically(">", first))
	}
	for _, script := range []string{installed, checked} {
		g.Expect(script).To(ContainSubstring(`-notmatch '^[0-9a-f]{64}$'`))
		g.Expect(script).To(ContainSubstring("Get-FileHash -LiteralPath $path -Algorithm SHA256"))
		g.Expect(script).NotTo(ContainSubstring("| Set-Content"), "no script fills a checksum in")
	}
	g.Expect(checked).To(MatchRegexp(`if \(\$faults\.Count -gt 0\) \{ throw `))
}

// settings reads cloudbase-init's configuration.
func settings(g Gomega) map[string]string {
	out, group := map[string]string{}, ""
	for line := range strings.SplitSeq(read(g, "files/cloudbase-init.conf"), "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if strings.HasPrefix(line, "[") {
			group = line
			continue
		}
		key, value, found := strings.Cut(line, "=")
		g.Expect(found).To(BeTrue(), line)
		g.Expect(out).NotTo(HaveKey(group + key))
		out[group+key] = value
	}
	return out
}

// What seeds rely on stands in the package comment of internal/bootstrap.
func TestCloudbaseInitIsSetUpForOurSeeds(t *testing.T) {
	g := NewWithT(t)
	said := settings(g)
	g.Expect(said).To(HaveKeyWithValue("[DEFAULT]metadata_services", "cloudbaseinit.metadata.services.nocloudservice.NoCloudConfigDriveService"))
	g.Expect(said).To(HaveKeyWithValue("[DEFAULT]allow_reboot", "true"))
	g.Expect(said).To(HaveKeyWithValue("[config_drive]types", "iso"))
	g.Expect(said).To(HaveKeyWithValue("[config_drive]locations", "cdrom"))
	// Each of these would widen the two above again.
	g.Expect(said).To(And(HaveKeyWithValue("[config_drive]raw_hdd", "false"), HaveKeyWithValue("[config_drive]vfat", "false")))
	g.Expect(said).To(HaveKeyWithValue("[DEFAULT]debug", "false"), "with it, what commands print would be logged")
	var needed []string
	for _, path := range strings.Split(said["[DEFAULT]plugins"], ",") {
		needed = append(needed, path[strings.LastIndexByte(path, '.')+1:])
	}
	g.Expect(needed).To(Equal([]string{"SetHostNamePlugin", "NetworkConfigPlugin", "ExtendVolumesPlugin", "UserDataPlugin"}))
	contract, err := os.ReadFile("../../internal/bootstrap/doc.go")
	g.Expect(err).NotTo(HaveOccurred())
	for _, plugin := range needed {
		if plugin != "ExtendVolumesPlugin" {
			g.Expect(string(contract)).To(ContainSubstring(plugin))
		}
	}
	g.Expect(string(contract)).To(ContainSubstring("NoCloudConfigDriveService"))
}

// TestTheImageHasWhatASeedUses reads a seed as a node gets it, and looks for each
// service and folder of the image that it speaks of.
func TestTheImageHasWhatASeedUses(t *testing.T) {
	g := NewWithT(t)
	installed, containerd := read(g, "files/Install-Node.ps1"), read(g, "files/containerd.toml")
	seed, err := bootstrap.Seed(bootstrap.Input{
		OS:       bootstrap.Windows,
		Identity: bootstrap.Identity{VM: "0b1f4c1e-6f0e-4f0a-9a3b-1c2d3e4f5a6b", Hostname: "shop-win-x7k2p"},
		NICs:     []bootstrap.NIC{{MAC: "02:aa:bb:cc:dd:ee", Addresses: []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24")}}},
		UserData: []byte("#cloud-config\nruncmd: ['sc.exe config kubelet start= auto']\n"),
		Additions: bootstrap.Additions{
			RegistryMirrors: []bootstrap.RegistryMirror{{Host: "docker.io", Endpoints: []string{"https://mirror.example"}}},
			Proxy:           bootstrap.Proxy{HTTP: "http://proxy.example:3128"},
		},
	})
	g.Expect(err).NotTo(HaveOccurred())
	text := string(seed)
	services := regexp.MustCompile(`(?:CurrentControlSet\\\\Services\\\\|sc\.exe config |Restart-Service -Force )([a-z]+)`).FindAllStringSubmatch(text, -1)
	g.Expect(len(services)).To(BeNumerically(">=", 4))
	for _, match := range services {
		g.Expect(installed).To(ContainSubstring("Get-Service -Name "+match[1]), "the image has the service "+match[1])
	}
	mirrors := regexp.MustCompile(`"path":\s*"(.+?)\\\\docker\.io\\\\hosts\.toml"`).FindStringSubmatch(text)
	g.Expect(mirrors).To(HaveLen(2))
	g.Expect(containerd).To(ContainSubstring("config_path = '" + strings.ReplaceAll(mirrors[1], `\\`, `\`) + "'"))
	g.Expect(containerd).To(ContainSubstring(`address = '\\.\pipe\containerd-containerd'`), "kubelets are told this socket")
	g.Expect(read(g, "files/Start-Kubelet.ps1")).To(ContainSubstring(`C:\var\lib\kubelet\kubeadm-flags.env`))
	g.Expect(read(g, "files/Report-Failure.ps1")).To(ContainSubstring(`C:\run\cluster-api\bootstrap-success.complete`))
	g.Expect(installed).To(ContainSubstring("SERVICE_DEMAND_START"), "kubeadm starts kubelet, once it is configured")
}

func TestWhatTheInstallerCopiesIsThere(t *testing.T) {
	g := NewWithT(t)
	installed := read(g, "files/Install-Node.ps1")
	files := regexp.MustCompile(`'([A-Za-z-]+\.(?:ps1|toml|conf))'`).FindAllStringSubmatch(installed, -1)
	g.Expect(len(files)).To(BeNumerically(">=", 5))
	for _, match := range files {
		read(g, "files/"+match[1])
	}
}

// Windows PowerShell reads a file without a mark in the code page of the machine.
func TestScriptsAreASCII(t *testing.T) {
	g := NewWithT(t)
	scripts, err := fs.Glob(windows.Files, "files/*.ps1")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(scripts).To(HaveLen(6))
	for _, name := range scripts {
		g.Expect(strings.IndexFunc(read(g, name), func(r rune) bool { return r > '~' })).To(Equal(-1), name)
	}
}
