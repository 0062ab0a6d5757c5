package console

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// What is told of a console at most. The message of an event, which is the smallest
// place that it is told at, has 1024 bytes.
const (
	maxLines = 8
	maxLine  = 220
	maxBytes = 800
	// lastLines are told where few lines explain anything.
	lastLines = 3
)

// explaining are the lines that explain, the most telling first. Of those that say
// as much the first count, since what follows a fault is its consequence.
var explaining = []*regexp.Regexp{
	regexp.MustCompile(`error execution phase|^\[ERROR |Kernel panic|Out of memory: Killed|No space left on device|^firmware: |^boot: `),
	regexp.MustCompile(`^\[(kubelet-check|api-check|control-plane-check|wait-control-plane|discovery)\] .*(not healthy|unhealthy|[Ff]ailed|error|timed out)`),
	regexp.MustCompile(`Failed to run module|Failed loading yaml|[Uu]nhandled|DataSourceNone|\.py\[(ERROR|CRITICAL)\]|plugin '?\w+'? failed|^failed: `),
	regexp.MustCompile(`^\[(FAILED|DEPEND)\] `),
	regexp.MustCompile(`\.py\[WARNING\]|kubelet.*(failed|exited|[Ee]rr)`),
	regexp.MustCompile(`(?i)\b(error|failed|failure|fatal|panic|cannot|unable|refused|denied|timed out|timeout|no such|not found)\b`),
}

// sayLittle are lines that look as if they explained something: warnings, advice, and
// what only says once more that the first configuration has failed.
var sayLittle = regexp.MustCompile(`Running module scripts[_-]user|Failed to start cloud-final|The system verification failed|^\[WARNING |stack trace of this error|^\[preflight\] (Some fatal|If you know)|^\[ +OK +\]`)

// pick returns the lines that explain, in their order, or the last ones.
func pick(lines []string) []string {
	chosen, said := map[int]bool{}, map[string]bool{}
	room := maxBytes
	choose := func(i int) {
		cost := min(len(lines[i]), maxLine) + 1
		if !said[lines[i]] && len(chosen) < maxLines && cost <= room {
			chosen[i], said[lines[i]] = true, true
			room -= cost
		}
	}
	for _, explains := range explaining {
		for i, line := range lines {
			if explains.MatchString(line) && !sayLittle.MatchString(line) {
				choose(i)
			}
		}
	}
	for i := len(lines) - 1; i >= 0 && len(chosen) < lastLines; i-- {
		if !sayLittle.MatchString(lines[i]) {
			choose(i)
		}
	}
	var out []string
	for i, line := range lines {
		if chosen[i] {
			out = append(out, shorten(line))
		}
	}
	return out
}

// bound keeps to what is told at most, of lines that somebody else has chosen.
func bound(lines []string) []string {
	var out []string
	room := maxBytes
	for _, line := range lines {
		line = shorten(line)
		if room -= len(line) + 1; len(out) == maxLines || room < 0 {
			break
		}
		out = append(out, line)
	}
	return out
}

const cutMark = "..."

// shorten leaves out the middle of a line, never a part of a character: at the
// beginning stands what failed, and at the end why.
func shorten(line string) string {
	if len(line) <= maxLine {
		return line
	}
	const part = (maxLine - len(cutMark)) / 2
	head, tail := part, len(line)-part
	for !utf8.RuneStart(line[head]) {
		head--
	}
	for !utf8.RuneStart(line[tail]) {
		tail++
	}
	return strings.TrimSpace(line[:head]) + cutMark + strings.TrimSpace(line[tail:])
}
