package console_test

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/console"
)

const (
	token = "abcdef.0123456789abcdef"
	hash  = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	key   = "f8902e114ef118304e561c3ecd4d0b543adc226b7a07f675f56564185ffe0c07"
	blob  = "MIIEpAIBAAKCAQEAvY2p3bV0ZJ1mX8w9Qe7uH5nK4rT6sLdC"
	pem   = "-----BEGIN RSA PRIVATE KEY-----\n" + blob + "\nQ0FURQo=\n-----END RSA PRIVATE KEY-----"
)

func TestSecretsAreKnownByTheirForm(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"a bootstrap token":              {"kubeadm join --token " + token + " 10.0.0.1:6443", "kubeadm join --token [removed] 10.0.0.1:6443"},
		"a token in the midst of a word": {"x" + token + "y", "x[removed]y"},
		"a token that is wrapped":        {"using token abcdef.0123\n456789abcdef now", "using token [removed]\n[removed] now"},
		"a token in colours":             {"abc\x1b[31mdef.\x1b[0m0123456789\x1b]0;t\aabcdef", "[removed]"},
		"its ID may be known":            {`could not find a JWS signature for token ID "abcdef"`, `could not find a JWS signature for token ID "abcdef"`},
		"a certificate key":              {"--certificate-key " + key, "--certificate-key [removed]"},
		"a bare certificate key":         {key + " is the key", "[removed] is the key"},
		"the hash of a CA stays":         {"--discovery-token-ca-cert-hash " + hash, "--discovery-token-ca-cert-hash " + hash},
		"a key below that hash":          {hash + "\n" + key, hash + "\n[removed]"},
		"PEM":                            {"a\n" + pem + "\nb", "a\n[removed]\n[removed]\n[removed]\n[removed]\nb"},
		"PEM without an end":             {"-----BEGIN EC PRIVATE KEY-----\n" + blob, "[removed]\n[removed]"},
		"PEM without a beginning":        {blob, "[removed]"},
		"PEM on one line":                {`key: "` + strings.ReplaceAll(pem, "\n", `\n`) + `"`, `key: "[removed]"`},
		"a password":                     {"password: hunter2 rest", "password: [removed] rest"},
		"a password in quotes":           {`passwd="correct horse" rest`, `passwd=[removed] rest`},
		"a password as a flag":           {"--password hunter2 --verbose", "--password [removed] --verbose"},
		"a password before another line": {"password: hunter2\nerror", "password: [removed]\nerror"},
		"a password that is wrapped":     {strings.Repeat("x ", 30) + "password: hunt\ner2 rest", strings.Repeat("x ", 30) + "password: [removed]\n[removed] rest"},
		"a password in a quoted message": {`msg="got {\"password\":\"hunter22\"} of it"`, `msg="got {\"password\":[removed]} of it"`},
		"a password quoted twice":        {`"{\\\"password\\\":\\\"horse battery\\\"}" x`, `"{\\\"password\\\":[removed]}" x`},
		"a password with a quote":        {`{"password":"ho\"battery staple","a":1}`, `{"password":[removed],"a":1}`},
		"a password with quotes of YAML": {`password: 'it''s horse battery' rest`, `password: [removed] rest`},
		"a password with a shell's":      {`password='it'\''s horse battery' rest`, `password=[removed] rest`},
		"a quote that is never closed":   {`password: "horse battery staple`, `password: [removed]`},
		"a password with commas":         {"password=horse,battery,staple rest", "password=[removed] rest"},
		"a password of Ruby":             {"password => hunter2 rest", "password => [removed] rest"},
		"a passphrase":                   {"passphrase: horse battery staple", "passphrase: [removed]"},
		"a password of MySQL":            {"MYSQL_PWD=hunter2 mysql", "MYSQL_PWD=[removed] mysql"},
		"a short name":                   {"pwd: hunter2 rest", "pwd: [removed] rest"},
		"a password's hash":              {"passwordHash: x rest", "passwordHash: [removed] rest"},
		"a key for encryption":           {"encryption_key: abc rest", "encryption_key: [removed] rest"},
		"a password of a database":       {"--db-password hunter2 -v", "--db-password [removed] -v"},
		"a password in a list":           {`["x","--password","hunter2"]`, `["x","--password",[removed]]`},
		"a login of curl":                {"curl -u a:b https://x", "curl -u [removed] https://x"},
		"a unit is no login":             {"journalctl -u kubelet failed", "journalctl -u kubelet failed"},
		"a login of docker":              {"docker login -u joe -p x registry", "docker login -u joe -p [removed] registry"},
		"a password of PowerShell":       {"ConvertTo-SecureString -AsPlainText hunter2 -Force", "ConvertTo-SecureString -AsPlainText [removed] -Force"},
		"a slash in a URL's password":    {"proxy http://user:hun/ter22@proxy failed", "proxy http://[removed]@proxy failed"},
		"a password in a block":          {"password: |\n  horse battery\n  staple one\nrest", "password: [removed]\n[removed]\nrest"},
		"a password in a folded block":   {"a:\n  password: >-\n    horse battery\n  rest: x", "a:\npassword: [removed]\n[removed]\nrest: x"},
		"a password below its name":      {"password:\n  horse battery\nrest", "password:\n[removed]\nrest"},
		"a block without its spaces":     {"password: |\nhorse battery\nrest", "password: [removed]\n[removed]\nrest"},
		"a block as the kernel logs it":  {"[   12.300000] cloud-init[381]: password: |\n[   12.300001] cloud-init[381]:   horse battery\n[   12.300002] cloud-init[381]:   staple one\n[   12.300003] cloud-init[381]: rest", "password: [removed]\n[removed]\nrest"},
		"names below such a name":        {"bootstrapToken:\n  ttl: horse\n  token: x", "bootstrapToken:\n[removed] horse\ntoken: [removed]"},
		"a prompt":                       {"Password:\nLogin incorrect", "Password:\n[removed] incorrect"},
		"passwords that were made up":    {"Set the following 'random' passwords\nroot:hunter22\njoe:x\nerror: at last", "Set the following 'random' passwords\n[removed]\n[removed]\nerror: at last"},
		"a password for chpasswd":        {"+ echo root:hunter22 | chpasswd", "+ echo [removed] | chpasswd"},
		"a password of XML":              {"<Password>horse battery</Password>", "<Password>[removed]</Password>"},
		"a password of Windows setup":    {"<Password><Value>x</Value>", "<Password><Value>[removed]</Value>"},
		"a placeholder":                  {"kubeadm join --token <token> now", "kubeadm join --token [removed] now"},
		"a hashed password":              {"root is $6$saltsalt$abcdefgh./XYZ now", "root is [removed] now"},
		"a key of AWS":                   {"with AKIAIOSFODNN7EXAMPLE now", "with [removed] now"},
		"a token in a URL":               {"GET /abcdef%2E0123456789abcdef", "GET /[removed]"},
		"32 digits":                      {"key 0123456789abcdef0123456789abcdef now", "key [removed] now"},
		"128 digits":                     {key + key, "[removed]"},
		"100 digits":                     {key + key[:36] + " now", "[removed] now"},
		"PEM's last lines":               {"a b\nQ0FURQo=\n-----END RSA PRIVATE KEY-----\nb", "a b\n[removed]\n[removed]\nb"},
		"a client's secret":              {`{"clientSecret":"abc"}`, `{"clientSecret":[removed]}`},
		"a token by name":                {"token: xyz", "token: [removed]"},
		"a header":                       {"Authorization: Bearer eyJhbGciOiJSUzI1", "Authorization: [removed]"},
		"a bearer":                       {"sent Bearer abcdefgh1234", "sent Bearer [removed]"},
		"a user in a URL":                {"proxy http://joe:p@ss@proxy.example:3128/ failed", "proxy http://[removed]@proxy.example:3128/ failed"},
		"a URL":                          {"GET https://10.0.0.1:6443/healthz?timeout=10s: EOF", "GET https://10.0.0.1:6443/healthz?timeout=10s: EOF"},
		"base64":                         {"data " + blob + "==", "data [removed]"},
		"no path": {
			"k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1", "k8s.io/kubernetes/cmd/kubeadm/app/cmd/phases/workflow.(*Runner).Run.func1",
		},
		"no name": {
			"kube-apiserver-shop-control-plane-x7k2p 4c9f1a52-7a3e-4a0b-9a53-6d1f0c7e5b21", "kube-apiserver-shop-control-plane-x7k2p 4c9f1a52-7a3e-4a0b-9a53-6d1f0c7e5b21",
		},
		"no prose about tokens": {"The bootstrap token has expired. Create one.", "The bootstrap token has expired. Create one."},
		"no unit":               {"[FAILED] Failed to start systemd-networkd-wait-online.service.", "[FAILED] Failed to start systemd-networkd-wait-online.service."},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			want := strings.Split(tc.want, "\n")
			lines := console.Withhold([]string{tc.text}, console.Secrets{})
			// Equal lines in a row are one.
			g.Expect(strings.Join(lines, "\n")).To(Equal(strings.Join(want, "\n")))
			g.Expect(console.Withhold(lines, console.Secrets{})).To(Equal(without(lines)), "a second time changes nothing")
		})
	}
}

// without leaves out what is told once only.
func without(lines []string) []string {
	var out []string
	for _, l := range lines {
		if len(out) == 0 || out[len(out)-1] != l {
			out = append(out, l)
		}
	}
	return out
}

// seed is user data as Cluster API writes it, with what users add.
const seed = `## template: jinja
#cloud-config
write_files:
-   path: /etc/kubernetes/pki/ca.key
    content: |
      -----BEGIN RSA PRIVATE KEY-----
      ` + blob + `
      -----END RSA PRIVATE KEY-----
-   path: /run/kubeadm/kubeadm-join-config.yaml
    content: |
      discovery:
        bootstrapToken:
          token: q1w2e3.r4t5y6u7i8o9p0a1
          caCertHashes: ["` + hash + `"]
      certificateKey: ` + key + `
-   path: /etc/motd
    content: welcome to the machine of the shop department
users:
-   name: joe
    passwd: tr0ub4dor
-   {name: ann, passwd: tiger}
chpasswd:
  expire: false
  list: |
    root:hunter22
vault:
  passphrase: horse battery staple
  password: |
    open the gate
    slowly please
runcmd:
- curl -u x:Zx9Yw8Vu7Ts6 https://repo.example
- kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml
`

func TestWhatIsSecretInTheSeedIsKeptBackInAnyForm(t *testing.T) {
	secrets := console.SecretsOf([]byte(seed), []byte("http://proxy:sesame77@proxy.example\nhttp://proxy:ab%2Ccd@proxy.example"),
		[]byte("- encoding: gzip+base64\n  content: "+packed(t, "database: rather plain\ndbpassword: cellardoor\n")+"\n  path: /etc/db.yaml\n"),
		[]byte("content: "+base64.StdEncoding.EncodeToString([]byte("dbpassword: openplease"))))
	for name, tc := range map[string]struct{ text, want string }{
		"the token's second half":    {"got r4t5y6u7i8o9p0a1", "got [removed]"},
		"the token, spelt out":       {"q 1 w 2 e 3 . r 4 t 5 y 6 u 7 i 8 o 9 p 0 a 1", "[removed]"},
		"wrapped below another line": {"see r4t5y6u7\n[  OK  ] i8o9p0a1", "see [removed]\n[  OK  ] [removed]"},
		"a password without a name":  {"sudo: tr0ub4dor: no", "sudo: [removed]: no"},
		"a password that is short":   {"login open sesame77", "login open [removed]"},
		"a word nobody would type":   {"curl: Zx9Yw8Vu7Ts6 refused", "curl: [removed] refused"},
		"a part of a key's line":     {"bad character in Y2p3bV0ZJ1mX", "bad character in [removed]"},
		"a password in a flow":       {"su: tiger refused", "su: [removed] refused"},
		"a password for a user":      {"su: hunter22 refused", "su: [removed] refused"},
		"a passphrase":               {"gpg: battery staple refused", "gpg: [removed] refused"},
		"a block's first line":       {"vault: open the gate", "vault: [removed]"},
		"a block's last line":        {"vault: slowly please", "vault: [removed]"},
		"a short word in a URL":      {"proxy: ab,cd refused", "proxy: [removed] refused"},
		"what was packed":            {"psql: cellardoor refused", "psql: [removed] refused"},
		"what was in base64":         {"psql: openplease", "psql: [removed]"},
		"not the CA's hash":          {hash, hash},
		"not what anybody may know":  {"kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml: welcome to the machine", "kubeadm join --config /run/kubeadm/kubeadm-join-config.yaml: welcome to the machine"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(strings.Join(console.Withhold([]string{tc.text}, secrets), "\n")).To(Equal(tc.want))
		})
	}
}

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err := w.Write([]byte(text))
	NewWithT(t).Expect(errors.Join(err, w.Close())).To(Succeed())
	return base64.StdEncoding.EncodeToString(b.Bytes())
}

func TestOfWhatWasPackedOnlySoMuchIsLookedAt(t *testing.T) {
	near := packed(t, "password: cellardoor\n"+strings.Repeat(" ", 600<<10)+"\npassword: openplease")
	secrets := console.SecretsOf([]byte("content: " + near))
	NewWithT(t).Expect(console.Withhold([]string{"cellardoor", "openplease"}, secrets)).To(Equal([]string{"[removed]", "openplease"}))
}
