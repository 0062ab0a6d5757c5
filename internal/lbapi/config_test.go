package lbapi_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

const token = "capstan-abcdefgh.topsecret"

func TestLBConfigIsReadAsItWasWritten(t *testing.T) {
	g := NewWithT(t)
	c := lbapi.LBConfig{Name: "shop-lb-0", Listen: "127.64.0.5:9443", EnrolmentToken: token}
	b, err := c.Marshal()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(b)).To(ContainSubstring("listen: 127.64.0.5:9443"))
	g.Expect(lbapi.ParseLBConfig(b)).To(Equal(c))
}

func TestLBConfigIsReadStrictly(t *testing.T) {
	const good = "name: a\nlisten: 127.0.0.1:9443\nenrolmentToken: " + token + "\n"
	for name, tt := range map[string]struct{ text, want string }{
		"empty":           {"", "empty"},
		"unknown field":   {good + "listne: x\n", "listne"},
		"field twice":     {good + "name: b\n", "there twice"},
		"two documents":   {good + "---\n" + good, "more than one document"},
		"not a mapping":   {token, "wrong type"},
		"not YAML":        {"name: [" + token, "not YAML"},
		"no port":         {"name: a\nlisten: 127.0.0.1\nenrolmentToken: " + token, "listen"},
		"host name":       {"name: a\nlisten: localhost:9443\nenrolmentToken: " + token, "listen"},
		"everywhere":      {"name: a\nlisten: 0.0.0.0:9443\nenrolmentToken: " + token, "listen"},
		"hostile name":    {"name: \"a\\nb\"\nlisten: 127.0.0.1:1\nenrolmentToken: " + token, "name"},
		"no token":        {"name: a\nlisten: 127.0.0.1:1\n", "enrolmentToken"},
		"token as a list": {"name: a\nlisten: 127.0.0.1:1\nenrolmentToken: [" + token + "]", "wrong type"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := lbapi.ParseLBConfig([]byte(tt.text))
			NewWithT(t).Expect(err).To(MatchError(And(ContainSubstring(tt.want), Not(ContainSubstring("topsecret")))))
		})
	}
}

func TestLBConfigNamesEveryFault(t *testing.T) {
	_, err := lbapi.LBConfig{}.Marshal()
	NewWithT(t).Expect(err).To(MatchError(And(ContainSubstring("name"), ContainSubstring("listen"), ContainSubstring("enrolmentToken"))))
}
