package console

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Control characters that begin a sequence, and end one.
const (
	bell, backspace, escape = '\a', '\b', '\x1b'
	// A C1 control is one character for escape and another one, 0x40 below it.
	c1First, c1Last, c1Offset = 0x80, 0x9f, 0x40
)

var (
	// writer is who wrote a line and when, in front of it, which explains nothing. A
	// prompt may have been there before.
	writer = regexp.MustCompile(`^(\S+ login: *)?(\[ *\d+\.\d+\] *)?(cloud-init\[\d+\]: *)?(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} - *)?`)
	// stillWaiting is a line that systemd writes over and over.
	stillWaiting = regexp.MustCompile(`^\[[* ]+\] `)
)

// maxRaw is how much of a console is looked at: its end.
const maxRaw = 32 << 10

// clean returns the lines that a terminal would show, each once in a row, without
// what colours or moves them. What is secret for where it stands is gone from them.
func clean(raw []string) []string {
	var shown, lines []string
	for line := range strings.SplitSeq(printed(end(strings.Join(raw, "\n"))), "\n") {
		said := strings.TrimLeft(line, " ")
		if named := writer.FindString(said); named != "" {
			line = strings.TrimPrefix(said[len(strings.TrimRight(named, " ")):], " ")
		}
		shown = append(shown, strings.TrimRight(line, " "))
	}
	for _, line := range withoutBlocks(shown) {
		line = strings.TrimSpace(line)
		if line == "" || stillWaiting.MatchString(line) || len(lines) > 0 && lines[len(lines)-1] == line {
			continue
		}
		lines = append(lines, line)
	}
	return lines
}

// end is what is looked at of a text: whole lines, since half a secret has no form.
func end(text string) string {
	if len(text) <= maxRaw {
		return text
	}
	_, whole, _ := strings.Cut(text[len(text)-maxRaw:], "\n")
	return whole
}

// printed is text without control sequences. What is written over what went before
// begins a line.
//
// Source: ECMA-48, 5.3 to 5.6.
func printed(text string) string {
	out := make([]rune, 0, len(text))
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 {
			// In eight bits a C1 control is one byte.
			r = rune(text[i])
		}
		i += size
		switch {
		case r == '\n' || r == '\r':
			out = append(out, '\n')
		case r == backspace:
			if last := len(out) - 1; last >= 0 && out[last] != '\n' {
				out = out[:last]
			}
		case r == escape && i < len(text):
			i += sequence(text[i:])
		case r >= c1First && r <= c1Last:
			i += introduced(byte(r-c1Offset), text[i:])
		case unicode.IsSpace(r):
			out = append(out, ' ')
		case size > 1 && unicode.IsPrint(r) || r < utf8.RuneSelf && unicode.IsPrint(r):
			out = append(out, r)
		}
	}
	return string(out)
}

// sequence is how long a sequence is behind its escape.
func sequence(text string) int {
	n := 0
	for n < len(text) && text[n] >= 0x20 && text[n] <= 0x2f {
		n++
	}
	switch {
	case n == len(text) || text[n] < 0x30 || text[n] > 0x7e:
		return n
	case n > 0:
		return n + 1
	}
	return 1 + introduced(text[0], text[1:])
}

// introduced is how long what a character introduces is behind it.
func introduced(by byte, text string) int {
	switch by {
	case '[':
		n := 0
		for n < len(text) && text[n] >= 0x20 && text[n] <= 0x3f {
			n++
		}
		if n < len(text) && text[n] >= 0x40 && text[n] <= 0x7e {
			n++
		}
		return n
	case ']', 'P', 'X', '^', '_':
		// A string of commands ends with a bell or a string terminator; one that has
		// no end must not swallow the lines below.
		for n := range len(text) {
			switch {
			case text[n] == bell || text[n] == c1Last-3:
				return n + 1
			case text[n] == escape && n+1 < len(text) && text[n+1] == '\\':
				return n + 2
			case text[n] == '\n' || text[n] == '\r' || text[n] == escape:
				return n
			}
		}
		return len(text)
	}
	return 0
}
