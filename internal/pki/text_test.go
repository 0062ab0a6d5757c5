package pki_test

import (
	"crypto/ecdsa"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/pki"
)

func TestATokenSurvivesItsTextForm(t *testing.T) {
	g := NewWithT(t)
	token := pki.NewToken()
	g.Expect(token.Reveal()).To(MatchRegexp(`^capstan-[a-z2-7]{8}\.[a-z2-7]{52}$`))
	parsed, err := pki.ParseToken(" " + token.Reveal() + "\n")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(parsed.Equal(token)).To(BeTrue())
	g.Expect(parsed.Equal(pki.NewToken())).To(BeFalse())
}

func TestDamagedTokensAreRefusedAndNeverQuoted(t *testing.T) {
	whole := pki.NewToken().Reveal()
	for name, text := range map[string]string{
		"empty":              "",
		"no prefix":          strings.TrimPrefix(whole, "capstan-"),
		"no secret":          strings.SplitAfter(whole, ".")[0],
		"cut short":          whole[:len(whole)-1],
		"too long":           whole + "a",
		"upper case":         strings.ToUpper(whole),
		"line break within":  whole[:30] + "\n" + whole[31:],
		"odd last character": whole[:len(whole)-1] + "b",
		"two dots":           strings.Replace(whole, ".", "..", 1),
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := pki.ParseToken(text)
			g.Expect(err).To(MatchError(pki.ErrToken))
			g.Expect(err.Error()).NotTo(ContainSubstring(whole[20:28]))
		})
	}
}

func TestPrintingATokenNeverShowsItsSecret(t *testing.T) {
	token := pki.NewToken()
	asJSON, err := json.Marshal(token) //nolint:staticcheck // that nothing comes out is the point
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(string(asJSON)).To(Equal("{}"))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		NewWithT(t).Expect(fmt.Sprintf(verb, token)).To(Equal("capstan-"+token.ID()+".***"), verb)
	}
}

func TestAPinSurvivesItsTextForm(t *testing.T) {
	g := NewWithT(t)
	ca, err := pki.NewCA("capstan test", newClock().Now())
	g.Expect(err).NotTo(HaveOccurred())
	text, err := ca.Pin().MarshalText()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(text)).To(MatchRegexp(`^sha256:[0-9a-f]{64}$`))
	var pin pki.Pin
	g.Expect(pin.UnmarshalText(text)).To(Succeed())
	g.Expect(pin).To(Equal(ca.Pin()))
	for _, bad := range []string{"", "sha256:", string(text[:70]), string(text) + "0", "sha512:" + string(text[7:]), "sha256:" + strings.Repeat("g", 64)} {
		g.Expect(pin.UnmarshalText([]byte(bad))).NotTo(Succeed(), bad)
	}
	g.Expect(pin).To(Equal(ca.Pin()), "a bad text changes nothing")
}

func FuzzParseToken(f *testing.F) {
	f.Add(pki.NewToken().Reveal())
	f.Add("capstan-aaaaaaaa.")
	f.Add("capstan-.")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := pki.ParseToken(text)
		if err == nil && token.Reveal() != strings.TrimSpace(text) {
			t.Errorf("a second text for token %s is accepted", token)
		}
	})
}

func FuzzParsePEM(f *testing.F) {
	ca, err := pki.NewCA("capstan test", newClock().Now())
	if err != nil {
		f.Fatal(err)
	}
	key, err := ca.KeyPEM()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ca.CertificatePEM())
	f.Add(key)
	f.Add([]byte("-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if certs, err := pki.ParseCertificates(data); err == nil {
			again, err := pki.ParseCertificates(pki.EncodeCertificates(certs...))
			if err != nil || len(again) != len(certs) {
				t.Errorf("%d certificates became %d: %v", len(certs), len(again), err)
			}
		}
		if key, err := pki.ParseKey(data); err == nil {
			text, err := pki.EncodeKey(key)
			if err != nil {
				t.Fatal(err)
			}
			var again *ecdsa.PrivateKey
			if again, err = pki.ParseKey(text); err != nil || !again.Equal(key) {
				t.Errorf("the key changed: %v", err)
			}
		}
	})
}
