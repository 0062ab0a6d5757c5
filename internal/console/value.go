package console

import (
	"regexp"
	"strings"
)

const (
	// secretNames are what secrets are called. What stands before such a name is not
	// asked for: it may be that of a client or a database.
	secretNames = `(?:pass(?:word|wd|phrase|code)?|pwd|token|secret|psk|credential|authorization|` +
		`(?:secret|api|private|certificate|encryption|signing|access|account|shared|master)[_-]?(?:access[_-]?)?key)` +
		`s?(?:[_-]?(?:hash|value|data|base64|b64|text))?`
	// quote may be within quoted text, and that again.
	quote = `\\*["']?`
	is    = ` *(?:=>|[:=]+) *`
	// given parts a flag from its value, also in a list.
	given = `(?:[ =]+|["']? *, *)`
	// scheme is how a header says what its secret is.
	scheme = `((?:bearer|basic|digest) +)?`
)

// introductions are what stands before secrets that are known by that alone. Their
// first group is the secret's, too.
var introductions = []struct {
	pattern *regexp.Regexp
	// login is a secret with the name of a user in front of it.
	login bool
	// phrase is a secret of many words.
	phrase bool
	// only is in every text that has such a secret.
	only string
}{
	{pattern: regexp.MustCompile(`(?i)` + secretNames + quote + is + scheme)},
	{pattern: regexp.MustCompile(`(?i)pass[_-]?phrase` + quote + is), phrase: true},
	{pattern: regexp.MustCompile(`(?i)--[a-z0-9_.-]*` + secretNames + given), only: "--"},
	{pattern: regexp.MustCompile(`(?:^|[\s"'])(?:-[uU] *|-[uU]["'] *, *|--(?:proxy-)?user` + given + `)`), login: true},
	{pattern: regexp.MustCompile(`\b(?:login|sshpass|mysql[a-z]*)\b[^\n|;]*?[ "',]-p(?:["']? *, *| *=? *)`), only: "-p"},
	{pattern: regexp.MustCompile(`(?i)ConvertTo-SecureString +(?:-(?:String|AsPlainText|Force) +)*`)},
}

// limits tell how far a value may go that begins somewhere: one that its form ends,
// and one that takes all there is.
type limits func(from int) (known, open int)

// ofLine ends values with their line.
func ofLine(text string) limits {
	return func(from int) (int, int) {
		if n := strings.IndexByte(text[from:], '\n'); n >= 0 {
			return from + n, from + n
		}
		return len(text), len(text)
	}
}

// valuesIn finds the secrets that something introduces.
func valuesIn(text string, within limits) []span {
	var found []span
	for _, intro := range introductions {
		if !strings.Contains(text, intro.only) {
			continue
		}
		for _, match := range intro.pattern.FindAllStringSubmatchIndex(text, -1) {
			from := match[1]
			known, open := within(from)
			end := open
			if !intro.phrase {
				end = valueEnd(text, from, known, open)
			} else if strings.HasPrefix(text[from:], removed) {
				end = from + len(removed)
			}
			if end <= from || intro.login && !strings.Contains(text[from:end], ":") {
				continue
			}
			if len(match) > 2 && match[2] >= 0 {
				from = match[2]
			}
			found = append(found, span{from: from, to: end, login: intro.login})
		}
	}
	return found
}

// valueEnd is where a value ends: with the quote that it begins with, one that is
// escaped more often being part of it, or before the next space. A quote that is
// never closed may have been cut off, so all there is belongs to it.
func valueEnd(text string, from, known, open int) int {
	if strings.HasPrefix(text[from:], removed) {
		return from + len(removed)
	}
	level := 0
	for from+level < known && text[from+level] == '\\' {
		level++
	}
	begin := from + level
	if begin >= known || text[begin] != '"' && text[begin] != '\'' {
		return wordEnd(text, from, known)
	}
	mark, escapes := text[begin], 0
	for i := begin + 1; i < known; i++ {
		switch {
		case text[i] == '\\':
			escapes++
			continue
		case text[i] == mark && escapes <= level:
			rest := text[i+1 : known]
			switch {
			case mark == '\'' && strings.HasPrefix(rest, `\''`):
				// This is how a shell has such a quote within such quotes.
				i += 3
			case mark == '\'' && strings.HasPrefix(rest, `'`):
				i++
			case rest != "" && kindOf(rest[0]) != 0:
				return wordEnd(text, i+1, known)
			default:
				return i + 1
			}
		}
		escapes = 0
	}
	return open
}

// wordEnd is where the next space is that is not escaped.
func wordEnd(text string, from, limit int) int {
	for i := from; i < limit; i++ {
		if (text[i] == ' ' || text[i] == '\n' || text[i] == '\t') && (i == from || text[i-1] != '\\') {
			return i
		}
	}
	return limit
}
