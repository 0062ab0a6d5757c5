package bootstrap_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
	"github.com/capstan-k8s/capstan/internal/bootstrap/iso9660"
)

var update = flag.Bool("update", false, "write the golden files")

// kubeadmConfig has the shape of what Cluster API's kubeadm provider writes.
const kubeadmConfig = `## template: jinja
#cloud-config

write_files:
-   path: /run/kubeadm/kubeadm.yaml
    owner: root:root
    permissions: '0640'
    content: |
      nodeRegistration:
        name: {{ ds.meta_data.local_hostname }}
        kubeletExtraArgs:
        - name: provider-id
          value: "hyperv://{{ ds.meta_data.instance_id }}"
-   path: /etc/motd
    content: "Grüße, 世界"
ntp:
  enabled: true
  servers:
  - ntp.user.example
users:
- name: user
runcmd:
  - 'kubeadm init --config /run/kubeadm/kubeadm.yaml'
`

// machine is a member of a control plane.
func machine(with ...func(*bootstrap.Input)) bootstrap.Input {
	in := bootstrap.Input{
		Identity: bootstrap.Identity{VM: "0b1f4c1e-6f0e-4f0a-9a3b-1c2d3e4f5a6b", Hostname: "shop-cp-x7k2p"},
		OS:       bootstrap.Linux,
		NICs: []bootstrap.NIC{{
			MAC:           "02:AA:bb:cc:dd:ee",
			Addresses:     []netip.Prefix{netip.MustParsePrefix("10.1.2.3/24"), netip.MustParsePrefix("fd00:1::3/64")},
			Gateways:      []netip.Addr{netip.MustParseAddr("10.1.2.1"), netip.MustParseAddr("fd00:1::1")},
			Nameservers:   []netip.Addr{netip.MustParseAddr("10.1.0.53")},
			SearchDomains: []string{"shop.example"},
			MTU:           1400,
		}},
		UserData: []byte(kubeadmConfig),
		Format:   bootstrap.CloudConfig,
	}
	for _, w := range with {
		w(&in)
	}
	return in
}

func withAllAdditions(in *bootstrap.Input) {
	in.Additions = bootstrap.Additions{
		NTPServers:  []string{"10.1.0.123", "ntp.example"},
		TrustBundle: []byte(certificate),
		RegistryMirrors: []bootstrap.RegistryMirror{
			{Host: "docker.io", Endpoints: []string{"https://mirror.example/docker", "http://10.1.0.5:5000"}},
			{Host: "_default", Endpoints: []string{"https://mirror.example"}},
		},
		Proxy: bootstrap.Proxy{
			HTTP: "http://user:p%40ss@proxy.example:3128", HTTPS: "http://proxy.example:3128",
			NoProxy: []string{"10.0.0.0/8", ".svc", "shop.example"},
		},
		User:  &bootstrap.User{Name: "ops", AuthorizedKeys: []string{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqP ops@example"}},
		Files: []bootstrap.File{{Path: "/etc/issue", Permissions: "0600", Owner: "root:adm", Content: []byte("<&>\x00\xff")}},
	}
}

func balancer(in *bootstrap.Input) {
	in.UserData, in.LoadBalancer = nil, &bootstrap.LoadBalancer{Config: []byte("listen: 10.1.2.3:9443\n")}
}

// certificate is a self-signed one of a CA called test.
const certificate = `-----BEGIN CERTIFICATE-----
MIIBdTCCARugAwIBAgIUKnX7g7ZWOJSO13HJHGooi4DL6F8wCgYIKoZIzj0EAwIw
DzENMAsGA1UEAwwEdGVzdDAgFw0yNjExMjExMDA4NDdaGA8yMTI2MTAyODEwMDg0
N1owDzENMAsGA1UEAwwEdGVzdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOUG
4nc4Nnaqsb70iFVvsrSlr4K+sCRyw7u3DOqAYW/iCCuUI9kjKtCwPqQlgefofSPr
ohGZGgyW15h7UtPfVg2jUzBRMB0GA1UdDgQWBBRvMJ7dSErlbWW8Lf71zK4Fp5tX
yjAfBgNVHSMEGDAWgBRvMJ7dSErlbWW8Lf71zK4Fp5tXyjAPBgNVHRMBAf8EBTAD
AQH/MAoGCCqGSM49BAMCA0gAMEUCIDOSB7ZaZKxofqRSZeCe3D3BMmTaVB9+A0I+
mbLGQUYnAiEAyn07Lzs0UAwly/+7wZSgaPGOzTHgLCPFsJS45x1Nmzg=
-----END CERTIFICATE-----
`

// read reads a seed back.
func read(g Gomega, seed []byte) map[string][]byte {
	disc, err := iso9660.Read(seed, 1<<20)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(disc.Label).To(Equal("cidata"))
	g.Expect(disc.TooLarge).To(BeEmpty())
	return disc.Files
}

type part struct {
	kind, merge string
	content     []byte
}

// parts takes user data apart by the rules of MIME.
func parts(g Gomega, userData []byte) []part {
	message, err := mail.ReadMessage(bytes.NewReader(userData))
	g.Expect(err).NotTo(HaveOccurred())
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(kind).To(Equal("multipart/mixed"))
	var all []part
	for r := multipart.NewReader(message.Body, params["boundary"]); ; {
		p, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return all
		}
		g.Expect(err).NotTo(HaveOccurred())
		kind, _, err := mime.ParseMediaType(p.Header.Get("Content-Type"))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(p.Header.Get("Content-Transfer-Encoding")).To(Equal("base64"))
		content, err := io.ReadAll(base64.NewDecoder(base64.StdEncoding, p))
		g.Expect(err).NotTo(HaveOccurred())
		all = append(all, part{kind, p.Header.Get("Merge-Type"), content})
	}
}

func seed(g Gomega, in bootstrap.Input) map[string][]byte {
	image, err := bootstrap.Seed(in)
	g.Expect(err).NotTo(HaveOccurred())
	return read(g, image)
}

func TestSeedHasWhatCloudInitReads(t *testing.T) {
	for _, tc := range []struct {
		name string
		in   bootstrap.Input
	}{
		{"machine", machine()},
		{"machine-with-additions", machine(withAllAdditions)},
		{"load-balancer", machine(balancer)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := NewWithT(t)
			files := seed(g, tc.in)
			g.Expect(files).To(HaveLen(3))
			ours := files[bootstrap.UserDataFile]
			if tc.in.UserData != nil {
				all := parts(g, ours)
				g.Expect(all).To(HaveLen(2))
				g.Expect(string(all[0].content)).To(Equal(string(tc.in.UserData)), "byte by byte as it came")
				g.Expect(all[0].kind).To(Equal("text/jinja2"))
				g.Expect(all[1].kind).To(Equal("text/cloud-config"))
				ours = all[1].content
			}
			golden(g, tc.name+".user-data", ours)
			golden(g, tc.name+".meta-data", files[bootstrap.MetaDataFile])
			golden(g, tc.name+".network-config", files[bootstrap.NetworkConfigFile])
		})
	}
}

func golden(g Gomega, name string, got []byte) {
	path := filepath.Join("testdata", name)
	if *update {
		g.Expect(os.WriteFile(path, got, 0o600)).To(Succeed())
	}
	want, err := os.ReadFile(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(got)).To(Equal(string(want)), "differs from %s; -update writes it anew", path)
}

func TestUserDataWithoutTemplateIsDeclaredAsCloudConfig(t *testing.T) {
	g := NewWithT(t)
	files := seed(g, machine(func(in *bootstrap.Input) { in.UserData = []byte("#cloud-config\nruncmd: []\n") }))
	g.Expect(parts(g, files[bootstrap.UserDataFile])[0].kind).To(Equal("text/cloud-config"))
}

func TestFilesKeepTheirContent(t *testing.T) {
	g := NewWithT(t)
	ours := parts(g, seed(g, machine(withAllAdditions))[bootstrap.UserDataFile])[1].content
	var config struct {
		WriteFiles []struct{ Path, Content string } `json:"write_files"`
	}
	g.Expect(json.Unmarshal(bytes.TrimPrefix(ours, []byte("#cloud-config\n")), &config)).To(Succeed())
	got := map[string]string{}
	for _, f := range config.WriteFiles {
		content, err := base64.StdEncoding.DecodeString(f.Content)
		g.Expect(err).NotTo(HaveOccurred())
		got[f.Path] = string(content)
	}
	g.Expect(got).To(HaveKeyWithValue("/etc/issue", "<&>\x00\xff"))
	g.Expect(got).To(HaveKeyWithValue("/etc/containerd/certs.d/docker.io/hosts.toml", `[host."https://mirror.example/docker"]
  capabilities = ["pull", "resolve"]
[host."http://10.1.0.5:5000"]
  capabilities = ["pull", "resolve"]
`))
	unit := `[Service]
Environment="HTTP_PROXY=http://user:p%%40ss@proxy.example:3128"
Environment="HTTPS_PROXY=http://proxy.example:3128"
Environment="NO_PROXY=10.0.0.0/8,.svc,shop.example"
`
	g.Expect(got).To(HaveKeyWithValue("/etc/systemd/system/containerd.service.d/http-proxy.conf", unit))
	g.Expect(got).To(HaveKeyWithValue("/etc/systemd/system/kubelet.service.d/http-proxy.conf", unit))
	g.Expect(got["/etc/environment"]).To(ContainSubstring("http_proxy=\"http://user:p%40ss@proxy.example:3128\"\n"))
}
