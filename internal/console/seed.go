package console

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"io"
	"net/url"
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	// gram is how many consecutive characters of a secret may not be seen.
	gram = 8
	// shortest is the length of the shortest secret that is looked for: shorter ones
	// are in every second word.
	shortest = 4
	// depth is how often base64 is opened to look for secrets in it.
	depth = 2
	// maxUnpacked is how much is unpacked of a seed: little may become much.
	maxUnpacked = 512 << 10
)

var (
	// word may be a password that bears no name.
	word    = regexp.MustCompile(`[A-Za-z0-9]{12,}`)
	encoded = regexp.MustCompile(`[A-Za-z0-9+/]{16,}={0,2}`)
)

// Secrets are what may not be seen of a seed. The zero value knows of none.
type Secrets struct{ pieces map[string]struct{} }

// SecretsOf finds the secrets in what a guest was given.
func SecretsOf(texts ...[]byte) Secrets {
	s := search{Secrets: Secrets{pieces: map[string]struct{}{}}, room: maxUnpacked}
	for _, text := range texts {
		s.gather(string(text), depth)
	}
	return s.Secrets
}

// search looks for secrets.
type search struct {
	Secrets
	// room is how much may still be unpacked.
	room int64
}

func (s *search) gather(text string, depth int) {
	lines := strings.Split(text, "\n")
	for _, b := range blocksIn(lines) {
		s.add(strings.TrimSpace(lines[b.line][b.from:]))
	}
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	// Indented PEM is PEM.
	text = strings.Join(lines, "\n")
	for _, found := range secretsIn(text, ofLine(text)) {
		s.add(passwordOf(text, found))
	}
	for _, found := range word.FindAllStringIndex(text, -1) {
		if w := text[found[0]:found[1]]; untypable(w) && !strings.HasSuffix(text[:found[0]], "sha256:") {
			s.add(w)
		}
	}
	if depth == 0 {
		return
	}
	for _, blob := range encoded.FindAllString(strings.ReplaceAll(text, "\n", ""), -1) {
		s.open(blob, depth)
	}
	for _, blob := range encoded.FindAllString(text, -1) {
		s.open(blob, depth)
	}
}

// passwordOf is the secret without the name of the user, which anybody may know.
func passwordOf(text string, found span) string {
	secret := text[found.from:found.to]
	if _, password, ok := strings.Cut(secret, ":"); ok && found.login {
		return password
	}
	return secret
}

func (s *search) open(blob string, depth int) {
	blob = strings.TrimRight(blob, "=")
	if len(blob)%4 == 1 {
		// A letter of what came next.
		blob = blob[:len(blob)-1]
	}
	decoded, err := base64.RawStdEncoding.DecodeString(blob)
	if err == nil {
		decoded = s.unpack(decoded)
	}
	if err == nil && utf8.Valid(decoded) {
		s.gather(string(decoded), depth-1)
	}
}

// unpack is what gzip has packed, as far as there is room, or else data as it is.
func (s *search) unpack(data []byte) []byte {
	packed, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return data
	}
	// What came next in the text may have been taken for more of it.
	packed.Multistream(false)
	plain, _ := io.ReadAll(io.LimitReader(packed, s.room))
	s.room -= int64(len(plain))
	return bytes.ToValidUTF8(plain, nil)
}

// untypable tells a word of which nobody would think: letters and digits take turns
// in it.
func untypable(w string) bool {
	changes, digits := 0, false
	for i := range len(w) {
		digits = digits || kindOf(w[i]) == 3
		if i > 0 && kindOf(w[i]) != kindOf(w[i-1]) {
			changes++
		}
	}
	return digits && changes*10 >= len(w)*3
}

// add takes the pieces of a secret in, as they would be seen however it is wrapped.
func (s Secrets) add(secret string) {
	if strings.HasPrefix(secret, "-----BEGIN") {
		for line := range strings.Lines(secret) {
			if !strings.Contains(line, "-----") {
				s.cut(line)
			}
		}
		return
	}
	secret = strings.Trim(secret, `\"'`)
	s.cut(secret)
	// What follows a word closely may be a part of it, or not.
	s.cut(strings.TrimRight(secret, `\"',;.)]}`))
	if first, _, more := strings.Cut(secret, ","); more {
		s.cut(first)
	}
	if plain, err := url.PathUnescape(secret); err == nil && plain != secret {
		s.cut(plain)
	}
}

func (s Secrets) cut(secret string) {
	secret = strings.Join(strings.Fields(secret), "")
	if len(secret) < shortest || strings.Trim(secret, secret[:1]) == "" {
		return
	}
	if len(secret) < gram {
		s.pieces[secret] = struct{}{}
	}
	for i := 0; i+gram <= len(secret); i++ {
		s.pieces[secret[i:i+gram]] = struct{}{}
	}
}

// hideSecrets hides the pieces of secrets, wherever lines and words are parted.
func (m *mask) hideSecrets(s Secrets) {
	if len(s.pieces) == 0 {
		return
	}
	text, at := m.without(func(c byte) bool { return c == '\n' || c == ' ' })
	for length := shortest; length <= gram; length++ {
		for i := 0; i+length <= len(text); i++ {
			if _, is := s.pieces[text[i:i+length]]; is {
				for j := i; j < i+length; j++ {
					m.hidden[at[j]] = true
				}
			}
		}
	}
}
