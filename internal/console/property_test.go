package console_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/console"
)

// noise is what may stand within text without being seen: a line's end, what colours,
// what sets a title.
var noise = []string{"\n", "\r\n", "\x1b[0m", "\x1b[1;31m", "\x1b]0;x\a", "\x9b0m", "\u200b", "\n[   12.345678] cloud-init[381]: ", "x\b", "\x00", "\x1b(B"}

// spoken is text as it would be read aloud: without what parts it.
func spoken(lines []string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, strings.Join(lines, ""))
}

func drawToken(t *rapid.T) string {
	return rapid.StringMatching(`[a-z0-9]{6}\.[a-z0-9]{16}`).Draw(t, "token")
}

// scattered is a console that says the secret somewhere, with noise at any place of it.
func scattered(t *rapid.T, secret string) string {
	var b strings.Builder
	words := rapid.StringMatching(`([A-Za-z]{1,8}[ :]){0,5}`)
	b.WriteString(words.Draw(t, "before"))
	for _, c := range secret {
		if rapid.IntRange(0, 5).Draw(t, "noisy") == 0 {
			b.WriteString(rapid.SampledFrom(noise).Draw(t, "noise"))
		}
		b.WriteRune(c)
	}
	b.WriteString(" " + words.Draw(t, "after"))
	return b.String()
}

func TestNoTokenPassesHoweverItIsParted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := drawToken(t)
		_, lines := console.Read([]string{scattered(t, token)})
		if strings.Contains(spoken(lines), token) {
			t.Fatalf("an agent tells %q in %q", token, lines)
		}
	})
}

func TestNoPieceOfASecretOfTheSeedPasses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		token := drawToken(t)
		secret := rapid.StringMatching(`[A-Za-z0-9+/]{12,70}`).Draw(t, "secret")
		secrets := console.SecretsOf([]byte("token: " + token + "\npassword: " + secret + "\n"))
		for _, s := range []string{token, secret} {
			if strings.Trim(s, s[:1]) == "" {
				continue
			}
			lines := console.Withhold([]string{scattered(t, s)}, secrets)
			seen := spoken(lines)
			for i := 0; i+8 <= len(s); i++ {
				if strings.Contains(seen, s[i:i+8]) {
					t.Fatalf("%q of %q is seen in %q", s[i:i+8], s, lines)
				}
			}
		}
	})
}

func FuzzNoTokenPasses(f *testing.F) {
	f.Add("kubeadm join --token ", "\x1b[31m", uint8(8))
	f.Add("password: \x1b]", "\n", uint8(3))
	f.Add("-----BEGIN RSA PRIVATE KEY-----\n", "\r\n[  1.0] ", uint8(7))
	f.Add("\x9b", "\b", uint8(22))
	secrets := console.SecretsOf([]byte("token: " + token))
	f.Fuzz(func(t *testing.T, around, between string, at uint8) {
		cut := int(at) % len(token)
		raw := []string{around + token[:cut] + between + token[cut:] + around}
		_, lines := console.Read(raw)
		lines = console.Withhold(lines, secrets)
		for _, seen := range []string{strings.Join(lines, "\n"), spoken(lines)} {
			if strings.Contains(seen, token) {
				t.Fatalf("the token is seen in %q", lines)
			}
		}
		if len(lines) > 8 || len(strings.Join(lines, "\n")) > 800 {
			t.Fatalf("%d lines are told: %q", len(lines), lines)
		}
		for _, line := range lines {
			if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Fatalf("%q is not for people", line)
			}
		}
	})
}

func BenchmarkRead(b *testing.B) {
	var raw []string
	for i := range 250 {
		raw = append(raw, strconv.Itoa(i)+"[    6.900000] cloud-init[381]: [\x1b[0;32m  OK  \x1b[0m] Started \x1b[0;1;39msystemd-timesyncd.service\x1b[0m - Network Time Synchronization.")
	}
	for b.Loop() {
		console.Read(raw)
	}
}
