package bootstrap

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// LoadBalancerConfigPath is where the agent of a load balancer finds its
// configuration.
const LoadBalancerConfigPath = "/etc/capstan-lb/config.yaml"

// LoadBalancerUnit is the systemd unit of that agent.
const LoadBalancerUnit = "capstan-lb.service"

// defaultRegistry stands for all registries without a folder of their own.
const defaultRegistry = "_default"

// cloudConfig is the part of cloud-init's cloud-config that we use.
type cloudConfig struct {
	WriteFiles []writeFile `json:"write_files,omitempty"`
	CACerts    *caCerts    `json:"ca_certs,omitempty"`
	NTP        *ntp        `json:"ntp,omitempty"`
	Users      []user      `json:"users,omitempty"`
	RunCmd     [][]string  `json:"runcmd,omitempty"`
}

type writeFile struct {
	Path        string `json:"path"`
	Owner       string `json:"owner"`
	Permissions string `json:"permissions"`
	Append      bool   `json:"append,omitempty"`
	Encoding    string `json:"encoding"`
	Content     string `json:"content"`
}

type caCerts struct {
	Trusted []string `json:"trusted"`
}

type ntp struct {
	Enabled bool     `json:"enabled"`
	Servers []string `json:"servers"`
}

type user struct {
	Name              string   `json:"name"`
	Shell             string   `json:"shell"`
	Sudo              string   `json:"sudo"`
	LockPassword      bool     `json:"lock_passwd"`
	SSHAuthorizedKeys []string `json:"ssh_authorized_keys,omitempty"`
}

// pinned keeps a guest as it is once the seed is gone. Without the first file
// cloud-init would take a guest that has lost its seed for a new instance, and
// name and address it anew; with it, it does not run at all then. The second
// covers images that list a single data source, for which ds-identify is not
// asked.
var pinned = []File{
	{Path: "/etc/cloud/ds-identify.cfg", Content: []byte("policy: search,found=first,maybe=none,notfound=disabled\n")},
	{Path: "/etc/cloud/cloud.cfg.d/99-capstan-pinned.cfg", Content: []byte("network: {config: disabled}\npreserve_hostname: true\n")},
}

func (in *Input) cloudConfig() ([]byte, error) {
	var c cloudConfig
	a := &in.Additions
	for _, f := range pinned {
		c.write(f)
	}
	c.mirror(a.RegistryMirrors)
	c.proxy(a.Proxy)
	for _, f := range a.Files {
		c.write(f)
	}
	if len(a.TrustBundle) > 0 {
		certs, err := certificates(a.TrustBundle)
		if err != nil {
			return nil, fmt.Errorf("read trust bundle: %w", err)
		}
		c.CACerts = &caCerts{Trusted: certs}
	}
	if len(a.NTPServers) > 0 {
		c.NTP = &ntp{Enabled: true, Servers: a.NTPServers}
	}
	if a.User != nil {
		c.Users = []user{{
			Name: a.User.Name, Shell: "/bin/bash", Sudo: "ALL=(ALL) NOPASSWD:ALL", LockPassword: true,
			SSHAuthorizedKeys: a.User.AuthorizedKeys,
		}}
	}
	if !a.Proxy.empty() || c.CACerts != nil {
		// containerd may be up already, and reads both only when it starts. kubelet is
		// started by kubeadm, later.
		c.RunCmd = append(c.RunCmd, []string{"systemctl", "daemon-reload"}, []string{"systemctl", "try-restart", "containerd.service"})
	}
	if in.LoadBalancer != nil {
		c.write(File{Path: LoadBalancerConfigPath, Permissions: "0600", Content: in.LoadBalancer.Config})
		// Not waiting keeps a unit that is ordered after cloud-init from blocking it.
		c.RunCmd = append(c.RunCmd, []string{"systemctl", "enable", "--now", "--no-block", LoadBalancerUnit})
	}
	return yamlFile(cloudConfigMark+"\n", c)
}

func (c *cloudConfig) write(f File) {
	w := writeFile{
		Path: f.Path, Owner: f.Owner, Permissions: f.Permissions,
		Encoding: "b64", Content: base64.StdEncoding.EncodeToString(f.Content),
	}
	if w.Owner == "" {
		w.Owner = "root:root"
	}
	if w.Permissions == "" {
		w.Permissions = "0644"
	}
	c.WriteFiles = append(c.WriteFiles, w)
}

// mirror writes containerd's hosts.toml files. No server is named in them: then
// containerd falls back to the registry itself.
func (c *cloudConfig) mirror(mirrors []RegistryMirror) {
	for _, m := range mirrors {
		c.write(File{Path: "/etc/containerd/certs.d/" + m.Host + "/hosts.toml", Content: m.hostsFile()})
	}
}

func (m *RegistryMirror) hostsFile() []byte {
	var b strings.Builder
	for _, e := range m.Endpoints {
		fmt.Fprintf(&b, "[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", e)
	}
	return []byte(b.String())
}

// proxy tells containerd, kubelet and people who log in. A password in the URL is
// for all of them to see, as it is for all who may log in.
func (c *cloudConfig) proxy(p Proxy) {
	if p.empty() {
		return
	}
	var unit, environment strings.Builder
	unit.WriteString("[Service]\n")
	for _, v := range p.variables() {
		// In a unit, % begins a specifier.
		fmt.Fprintf(&unit, "Environment=\"%s=%s\"\n", v.name, strings.ReplaceAll(v.value, "%", "%%"))
		for _, name := range []string{v.name, strings.ToLower(v.name)} {
			fmt.Fprintf(&environment, "%s=\"%s\"\n", name, v.value)
		}
	}
	for _, service := range []string{"containerd", "kubelet"} {
		c.write(File{
			Path:    "/etc/systemd/system/" + service + ".service.d/http-proxy.conf",
			Content: []byte(unit.String()),
		})
	}
	c.write(File{Path: "/etc/environment", Content: []byte(environment.String())})
	c.WriteFiles[len(c.WriteFiles)-1].Append = true
}

type variable struct{ name, value string }

// variables are the environment variables that are not empty.
func (p *Proxy) variables() []variable {
	return slices.DeleteFunc([]variable{
		{"HTTP_PROXY", p.HTTP}, {"HTTPS_PROXY", p.HTTPS}, {"NO_PROXY", strings.Join(p.NoProxy, ",")},
	}, func(v variable) bool { return v.value == "" })
}

func (p *Proxy) empty() bool { return p.HTTP == "" && p.HTTPS == "" }
