package bootstrap_test

import (
	"bytes"
	"encoding/json"
	"testing"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/bootstrap"
)

// anyText draws text with everything that quoting may stumble over.
func anyText(t *rapid.T, name string) string {
	return rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`(\{\{ [a-z.]+ \}\}|"|'|\\|\n|\r\n|--capstan-[0-9a-f]+|MIME-Version: 1.0|: |# |é|世|\x00){0,20}`),
	).Draw(t, name)
}

func TestPropertyContentComesOutAsItWentIn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := NewWithT(t)
		first := rapid.SampledFrom([]string{"#cloud-config\n", "## template: jinja\n#cloud-config\n"}).Draw(t, "first line")
		userData := []byte(first + anyText(t, "user data"))
		content := rapid.SliceOf(rapid.Byte()).Draw(t, "content")
		in := machine(func(in *bootstrap.Input) {
			in.UserData = userData
			in.Additions.Files = []bootstrap.File{{Path: "/etc/x", Content: content}}
		})
		one, err := bootstrap.Seed(in)
		g.Expect(err).NotTo(HaveOccurred())
		two, err := bootstrap.Seed(in)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(bytes.Equal(one, two)).To(BeTrue(), "equal input gives equal bytes")

		all := parts(g, read(g, one)[bootstrap.UserDataFile])
		g.Expect(all).To(HaveLen(2))
		g.Expect(all[0].content).To(Equal(userData))
		g.Expect(all[1].merge).To(Equal("list(prepend)+dict(no_replace,recurse_list)+str()"))
		var config struct {
			WriteFiles []struct {
				Path    string
				Content []byte
			} `json:"write_files"`
		}
		g.Expect(json.Unmarshal(bytes.TrimPrefix(all[1].content, []byte("#cloud-config\n")), &config)).To(Succeed())
		last := config.WriteFiles[len(config.WriteFiles)-1]
		g.Expect(last.Path).To(Equal("/etc/x"))
		g.Expect(bytes.Equal(last.Content, content)).To(BeTrue())
	})
}

// FuzzSeed shows that no text can break out of its place: a seed is either
// refused, or what it is read back as is what was asked for.
func FuzzSeed(f *testing.F) {
	f.Add("shop-1", "02:aa:bb:cc:dd:ee", []byte(kubeadmConfig), "/etc/x", "docker.io", "https://mirror.example", "http://proxy:3128", "ssh-rsa AAAA me")
	f.Add("a", "02:00:00:00:00:01", []byte("#cloud-config"), "/", "_default", "http://[::1]:80/", "", "")
	f.Fuzz(func(t *testing.T, hostname, mac string, userData []byte, path, registry, endpoint, proxy, key string) {
		g := NewWithT(t)
		in := machine(func(in *bootstrap.Input) {
			in.Identity.Hostname, in.NICs[0].MAC, in.UserData = hostname, mac, userData
			in.Additions = bootstrap.Additions{
				RegistryMirrors: []bootstrap.RegistryMirror{{Host: registry, Endpoints: []string{endpoint}}},
				Proxy:           bootstrap.Proxy{HTTP: proxy},
				User:            &bootstrap.User{Name: "ops", AuthorizedKeys: []string{key}},
				Files:           []bootstrap.File{{Path: path}},
			}
		})
		image, err := bootstrap.Seed(in)
		if err != nil {
			return
		}
		files := read(g, image)
		var meta map[string]string
		g.Expect(json.Unmarshal(files[bootstrap.MetaDataFile], &meta)).To(Succeed())
		g.Expect(meta).To(Equal(map[string]string{"instance-id": in.Identity.VM, "local-hostname": hostname}))
		if len(userData) == 0 {
			return
		}
		all := parts(g, files[bootstrap.UserDataFile])
		g.Expect(all).To(HaveLen(2))
		g.Expect(bytes.Equal(all[0].content, userData)).To(BeTrue())
		for _, b := range all[1].content {
			// YAML refuses control characters even in quotes.
			g.Expect(b == '\n' || b >= ' ' && b <= '~').To(BeTrue(), "character %q in our part", b)
		}
	})
}
