package console

import (
	"regexp"
	"strings"
)

// removed stands where a secret was.
const removed = "[removed]"

// secretForm is how secrets of one kind look. The part of a match that is the secret
// is its first group, or all of it where there is none.
type secretForm struct {
	pattern *regexp.Regexp
	// isSecret judges the secret and what stands before it; nil means that it is one.
	isSecret func(before, text string) bool
	// endless secrets are known by what stands before them alone. They go on on the
	// next line only where that is likely: else each would take a word with it that
	// explains something.
	endless bool
	// login is a secret with the name of a user in front of it.
	login bool
	// only is in every text that has such a secret: what is costly to look for is
	// rarely looked for.
	only string
}

// wraps is how long a line is at least that somebody may have wrapped: the columns of
// a terminal but for what names the writer.
const wraps = 50

var secretForms = []secretForm{
	// PEM, also if its end or its line breaks are missing.
	{pattern: regexp.MustCompile(`(?s)-----BEGIN [A-Z0-9 ]+-----.*?-----END [A-Z0-9 ]+-----`)},
	{pattern: regexp.MustCompile(`-----BEGIN [A-Z0-9 ]+-----[A-Za-z0-9+/=\s]*`)},
	{pattern: regexp.MustCompile(`(?m)(?:^[A-Za-z0-9+/=]+\n)*-----END [A-Z0-9 ]+-----`), only: "-----END"},
	// A bootstrap token. Its characters are said by bootstraptoken.Pattern of kubeadm;
	// whatever touches it does not save it.
	{pattern: regexp.MustCompile(`[a-z0-9]{6}(?:\.|%2[eE]|\\u002[eE]|\\x2[eE])[a-z0-9]{16}`)},
	// A certificate key, and whatever is as long, as IDs of containers are. Half as
	// many digits are a key, too, or a UUID without its dashes: nobody can tell.
	{
		pattern:  regexp.MustCompile(`(?:sha256:[0-9a-f]{64})?([0-9a-fA-F]{32,})`),
		isSecret: func(before, _ string) bool { return !strings.HasSuffix(before, "sha256:") },
		endless:  true,
	},
	{
		pattern:  regexp.MustCompile(`[0-9a-fA-F]{64}`),
		isSecret: func(before, _ string) bool { return !strings.HasSuffix(before, "sha256:") },
	},
	{pattern: regexp.MustCompile(`://([^/\s]+|[^/\s:]*:\S+)@`), login: true},
	{pattern: regexp.MustCompile(`(?i)<[^<>\n]*` + secretNames + `(?: [^<>\n]*)?>\n?(?:<[^<>\n]*>\n?)?([^<>\s][^<\n]*)`), endless: true, only: "<"},
	// What cloud-init makes up for users, and what a shell gives them.
	{pattern: regexp.MustCompile(`(?im)^.*set the following.{0,12} passwords\W*((?:\n[a-z_][a-z0-9_.$-]*:\S+$)+)`), login: true, only: " passwords"},
	{pattern: regexp.MustCompile(`([^\s"']+:[^\s"']+)["']? *\| *(?:sudo +)?chpasswd`), login: true, only: "chpasswd"},
	{pattern: regexp.MustCompile(`\$(?:1|2[abxy]?|5|6|7|y|gy|argon2[a-z]*)\$[A-Za-z0-9./$=,+]{8,}`), endless: true},
	{pattern: regexp.MustCompile(`A[KS]IA[0-9A-Z]{16}`)},
	{pattern: regexp.MustCompile(`(?i)\b(?:bearer|basic) +([A-Za-z0-9._~+/-]{8,}=*)`), endless: true},
	{pattern: regexp.MustCompile(`[A-Za-z0-9+/_-]{24,}={0,2}`), isSecret: func(_, text string) bool { return random(text) }},
}

// random tells text that looks like base64 of something random from names and
// paths: all kinds of characters are in it, and each kind rarely lasts.
func random(text string) bool {
	var seen [4]bool
	letters, changes, last := 0, 0, 0
	for i := range len(text) {
		kind := kindOf(text[i])
		if kind == 0 {
			continue
		}
		seen[kind] = true
		letters++
		if last != 0 && kind != last {
			changes++
		}
		last = kind
	}
	return seen[1] && seen[2] && seen[3] && changes*10 >= letters*3
}

// kindOf is 1 for a small letter, 2 for a large one, 3 for a digit, and 0 for what
// also separates words.
func kindOf(c byte) int {
	switch {
	case c >= 'a' && c <= 'z':
		return 1
	case c >= 'A' && c <= 'Z':
		return 2
	case c >= '0' && c <= '9':
		return 3
	}
	return 0
}

// mask marks the bytes of a text that are kept back.
type mask struct {
	text   string
	hidden []bool
}

func newMask(lines []string) *mask {
	text := strings.Join(lines, "\n")
	return &mask{text: text, hidden: make([]bool, len(text))}
}

// without is the text without the bytes that are left out, and where each of the
// others was.
func (m *mask) without(leaveOut func(byte) bool) (text string, at []int) {
	var b strings.Builder
	for i := range len(m.text) {
		if !leaveOut(m.text[i]) {
			b.WriteByte(m.text[i])
			at = append(at, i)
		}
	}
	return b.String(), at
}

// hideForms hides what looks like a secret, on one line or wrapped.
func (m *mask) hideForms() {
	for _, s := range secretsIn(m.text, ofLine(m.text)) {
		for i := s.from; i < s.to; i++ {
			m.hidden[i] = true
		}
	}
	unwrapped, at := m.without(func(c byte) bool { return c == '\n' })
	for _, s := range secretsIn(unwrapped, m.wrapped(at)) {
		for i := s.from; i < s.to; i++ {
			if s.endless && i > s.from && m.endsHere(at[i-1]) {
				break
			}
			m.hidden[at[i]] = true
		}
	}
}

// wrapped ends values with the first line that nobody has wrapped, and those that
// take all there is with the second line.
func (m *mask) wrapped(at []int) limits {
	return func(from int) (int, int) {
		open := len(at)
		for i, ends := from, 0; i < len(at); i++ {
			if !m.lineEnds(at[i]) {
				continue
			}
			if ends++; ends == 2 {
				open = i + 1
			}
			if m.endsHere(at[i]) {
				return i + 1, min(open, i+1)
			}
		}
		return len(at), open
	}
}

// lineEnds tells whether a byte is the last of its line.
func (m *mask) lineEnds(i int) bool { return i+1 == len(m.text) || m.text[i+1] == '\n' }

// endsHere tells whether a byte is the last of a line that is too short to have been
// wrapped.
func (m *mask) endsHere(i int) bool {
	return m.lineEnds(i) && i-strings.LastIndexByte(m.text[:i], '\n') < wraps
}

// lines are the lines with a mark in place of what is hidden.
func (m *mask) lines() []string {
	var b strings.Builder
	marked := false
	for i := range len(m.text) {
		c := m.text[i]
		switch {
		case c == '\n':
			marked = false
			b.WriteByte(c)
		case c == ' ' && marked && i+1 < len(m.text) && m.hidden[i+1]:
			// What only spaces part is one secret.
		case !m.hidden[i]:
			marked = false
			b.WriteByte(c)
		case !marked:
			marked = true
			b.WriteString(removed)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	return strings.Split(strings.ToValidUTF8(b.String(), ""), "\n")
}

// span is where something is in a text.
type span struct {
	from, to int
	endless  bool
	login    bool
}

func secretsIn(text string, within limits) []span {
	found := valuesIn(text, within)
	for _, form := range secretForms {
		if !strings.Contains(text, form.only) {
			continue
		}
		for _, match := range form.pattern.FindAllStringSubmatchIndex(text, -1) {
			s := span{from: match[0], to: match[1], endless: form.endless, login: form.login}
			if len(match) > 2 {
				s.from, s.to = match[2], match[3]
			}
			if form.isSecret == nil || form.isSecret(text[:s.from], text[s.from:s.to]) {
				found = append(found, s)
			}
		}
	}
	return found
}
