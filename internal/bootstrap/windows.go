package bootstrap

import (
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"

	"github.com/capstan-k8s/capstan/internal/bootstrap/iso9660"
)

// MaxComputerName is how long the name of a Windows computer may be. NetBIOS has
// no room for more, and cloudbase-init cuts the rest off, so that two machines
// could end up with one name.
const MaxComputerName = 15

// Where things are in a Windows guest. Cluster API's paths have no drive; the
// programs that read them take the drive they were started from.
const (
	systemDrive = `C:`
	// runDir holds what kubeadm is told, with its token. Everybody may read what is
	// on the root of a drive.
	runDir       = systemDrive + `\run`
	trustDir     = systemDrive + `\ProgramData\capstan\trust`
	registryDir  = systemDrive + `\Program Files\containerd\certs.d`
	sshAdminKeys = systemDrive + `\ProgramData\ssh\administrators_authorized_keys`
)

var windowsPathForm = regexp.MustCompile(`^[A-Za-z]:\\([^<>:"/\\|?*\x00-\x1f]+\\)*[^<>:"/\\|?*\x00-\x1f]+$`)

// windowsConfig is the part of cloud-config that we use and that cloudbase-init
// understands. It does things in the order of these fields, whatever the order in
// the file.
type windowsConfig struct {
	WriteFiles []windowsFile `json:"write_files,omitempty"`
	NTP        *ntp          `json:"ntp,omitempty"`
	Users      []windowsUser `json:"users,omitempty"`
	// RunCmd are the lines of one script for cmd.exe, which goes on after a line
	// that fails.
	RunCmd []string `json:"runcmd,omitempty"`
}

// windowsFile is a file to write. Owners are not heeded; of the permissions only
// whether the owner may write is.
type windowsFile struct {
	Path        string `json:"path"`
	Permissions string `json:"permissions,omitempty"`
	Append      bool   `json:"append,omitempty"`
	Encoding    string `json:"encoding"`
	Content     string `json:"content"`
}

type windowsUser struct {
	Name              string   `json:"name"`
	Gecos             string   `json:"gecos,omitempty"`
	Password          string   `json:"passwd,omitempty"`
	PrimaryGroup      string   `json:"primary_group,omitempty"`
	Groups            []string `json:"groups,omitempty"`
	Inactive          bool     `json:"inactive,omitempty"`
	SSHAuthorizedKeys []string `json:"ssh_authorized_keys,omitempty"`
}

// windowsFiles are the files of a seed for cloudbase-init: one cloud-config that
// is rendered and merged here. docs/adr/0008 says why.
func (in *Input) windowsFiles() ([]iso9660.File, error) {
	theirs, err := in.windowsUserData()
	if err != nil {
		return nil, err
	}
	ours, err := in.windowsAdditions()
	if err != nil {
		return nil, err
	}
	userData, err := yamlFile(cloudConfigMark+"\n", ours.join(theirs))
	if err != nil {
		return nil, err
	}
	return in.seedFiles(userData, in.windowsNetwork())
}

// join puts theirs behind ours, as cloud-init merges them for Linux: our commands
// run before kubeadm, and of a file that both write theirs is what stays.
func (c windowsConfig) join(theirs windowsConfig) windowsConfig {
	c.WriteFiles = append(c.WriteFiles, theirs.WriteFiles...)
	c.Users = append(c.Users, theirs.Users...)
	c.RunCmd = append(c.RunCmd, theirs.RunCmd...)
	switch {
	case c.NTP == nil:
		c.NTP = theirs.NTP
	case theirs.NTP != nil:
		c.NTP = &ntp{Enabled: theirs.NTP.Enabled, Servers: append(c.NTP.Servers, theirs.NTP.Servers...)}
	}
	return c
}

func (c *windowsConfig) write(path string, content []byte) {
	c.WriteFiles = append(c.WriteFiles, windowsFile{
		Path: path, Permissions: "0644", Encoding: "b64", Content: base64.StdEncoding.EncodeToString(content),
	})
}

func (c *windowsConfig) run(format string, args ...any) {
	c.RunCmd = append(c.RunCmd, fmt.Sprintf(format, args...))
}

// windowsAdditions is what Capstan adds to a Windows guest.
func (in *Input) windowsAdditions() (windowsConfig, error) {
	var c windowsConfig
	a := &in.Additions
	c.run(`cd /d %s\`, systemDrive)
	c.searchDomains(in.NICs)
	for _, m := range a.RegistryMirrors {
		c.write(registryDir+`\`+registryFolder(m.Host)+`\hosts.toml`, m.hostsFile())
	}
	for _, f := range a.Files {
		c.write(f.Path, f.Content)
	}
	if len(a.TrustBundle) > 0 {
		certs, err := certificates(a.TrustBundle)
		if err != nil {
			return c, fmt.Errorf("read trust bundle: %w", err)
		}
		for i, cert := range certs {
			path := fmt.Sprintf(`%s\ca-%d.crt`, trustDir, i)
			c.write(path, []byte(cert))
			c.run("certutil -f -addstore Root %s", path)
		}
	}
	if len(a.NTPServers) > 0 {
		c.NTP = &ntp{Enabled: true, Servers: a.NTPServers}
	}
	if a.User != nil {
		c.Users = []windowsUser{{Name: a.User.Name, Groups: []string{"Administrators"}, SSHAuthorizedKeys: a.User.AuthorizedKeys}}
		// The SSH server reads the keys of administrators here alone, and only if
		// nobody else may write them.
		c.write(sshAdminKeys, []byte(strings.Join(a.User.AuthorizedKeys, "\n")+"\n"))
		c.run("%s", onlyAdministrators(sshAdminKeys, ""))
	}
	c.windowsProxy(a.Proxy)
	return c, nil
}

// onlyAdministrators leaves a file or folder to the system and to administrators,
// by identifiers that are the same in every language.
func onlyAdministrators(path, inheritance string) string {
	return fmt.Sprintf("icacls %s /inheritance:r /grant:r *S-1-5-18:%[2]sF *S-1-5-32-544:%[2]sF", path, inheritance)
}

// searchDomains are set for all adapters: cloudbase-init does not heed them.
func (c *windowsConfig) searchDomains(nics []NIC) {
	var domains []string
	for i := range nics {
		for _, d := range nics[i].SearchDomains {
			domains = append(domains, "'"+d+"'")
		}
	}
	if len(domains) > 0 {
		c.run(`powershell -NoProfile -Command "Set-DnsClientGlobalSetting -SuffixSearchList @(%s)"`, strings.Join(domains, ","))
	}
}

// registryFolder is where containerd looks for a registry's settings on Windows,
// where a path has no colon but the drive's.
// Source: containerd, core/remotes/docker/config/hosts.go.
func registryFolder(host string) string {
	if name, port, ok := strings.Cut(host, ":"); ok {
		return name + "_" + port + "_"
	}
	return host
}

// windowsProxy tells containerd and kubelet by the environment that is set for
// their services. kubelet is started by kubeadm, later.
func (c *windowsConfig) windowsProxy(p Proxy) {
	if p.empty() {
		return
	}
	var variables []string
	for _, v := range p.variables() {
		variables = append(variables, v.name+"="+v.value)
	}
	// In a script, % begins a variable.
	environment := strings.ReplaceAll(strings.Join(variables, `\0`), "%", "%%")
	for _, service := range []string{"containerd", "kubelet"} {
		c.run(`reg add HKLM\SYSTEM\CurrentControlSet\Services\%s /v Environment /t REG_MULTI_SZ /d "%s" /f`, service, environment)
	}
	c.run(`powershell -NoProfile -Command "Restart-Service -Force containerd"`)
}

func (in *Input) validateWindows(p *problems) {
	if len(in.Identity.Hostname) > MaxComputerName {
		p.add("identity.hostname", "%q has more than the %d characters that the name of a Windows computer may have", in.Identity.Hostname, MaxComputerName)
	}
	for i := range in.NICs {
		seen := map[bool]bool{}
		for j, a := range in.NICs[i].Addresses {
			// cloudbase-init removes the others when it sets one.
			if seen[a.Addr().Is4()] {
				p.add(fmt.Sprintf("nics[%d].addresses[%d]", i, j), "is a second one of its address family, which for Windows is %w", ErrNotSupported)
			}
			seen[a.Addr().Is4()] = true
		}
	}
	if in.LoadBalancer != nil {
		p.add("loadBalancer", "a load balancer on Windows is %w", ErrNotSupported)
	}
	if partType(in.UserData) == "" || in.Format == Ignition {
		return
	}
	if _, err := in.windowsUserData(); err != nil {
		p.add("userData", "%w", err)
	}
}

func validateWindowsFiles(p *problems, files []File) {
	paths := map[string]bool{}
	for i, f := range files {
		field := fmt.Sprintf("additions.files[%d]", i)
		if !windowsPathForm.MatchString(f.Path) {
			p.add(field+".path", `%q is not an absolute path such as C:\etc\x`, f.Path)
		}
		if key := strings.ToLower(f.Path); paths[key] {
			p.add(field+".path", "%q is listed twice", f.Path)
		} else {
			paths[key] = true
		}
		if f.Permissions != "" || f.Owner != "" {
			p.add(field, "permissions and owner are for Linux")
		}
	}
}
