package console

import (
	"regexp"
	"strings"
)

var (
	// blockBegins has the value of a secret below it, as YAML has it: a block if it
	// says so.
	blockBegins = regexp.MustCompile(`(?i)` + secretNames + quote + ` *:(?: +[!&]\S+)* *([|>][-+0-9]*)?(?: +#.*)?$`)
	// loginsBegin has names of users with their passwords below it.
	loginsBegin = regexp.MustCompile(`^[ "'-]*chpasswd["']? *:`)
	// pair has a name of its own, by which it is judged.
	pair = regexp.MustCompile(`^(?:- +)*["']?[A-Za-z0-9_./-]+["']?:(?: |$)`)
	// login is such a line.
	login = regexp.MustCompile(`^[ "'-]*[a-z_][a-z0-9_.$-]*:([^\s"']+)["']? *$`)
)

// block is a part of a line that is secret because of the lines above it.
type block struct{ line, from int }

// blocksIn finds what is below its name. It needs the spaces that lines begin with;
// where they are lost a block has one line at least. A line goes on below one that
// may have been wrapped.
func blocksIn(lines []string) []block {
	var found []block
	for i, line := range lines {
		line = strings.TrimRight(line, " \r")
		if !strings.HasSuffix(line, ":") && !(strings.Contains(line, ":") && strings.ContainsAny(line, "|>#!&")) {
			// It is costly to look closer, and this is most of what there is.
			continue
		}
		begins := blockBegins.FindStringSubmatch(line)
		logins := loginsBegin.MatchString(line)
		switch {
		case logins:
			begins = nil
		case begins == nil:
			continue
		}
		named, marked := depthOf(line), len(begins) > 1 && begins[1] != ""
		for j := i + 1; j < len(lines); j++ {
			text := strings.TrimSpace(lines[j])
			depth := depthOf(lines[j])
			if text != "" && depth <= named && (!marked || j > i+1 && len(lines[j-1]) < wraps) {
				break
			}
			switch {
			case text == "", begins != nil && !marked && pair.MatchString(text):
			case begins != nil:
				found = append(found, block{j, depth})
			default:
				if user := login.FindStringSubmatchIndex(lines[j]); user != nil {
					found = append(found, block{j, user[2]})
				}
			}
		}
	}
	return found
}

// depthOf is how many spaces a line begins with.
func depthOf(line string) int { return len(line) - len(strings.TrimLeft(line, " ")) }

// withoutBlocks is lines without what is secret because of the lines above it.
func withoutBlocks(lines []string) []string {
	for _, b := range blocksIn(lines) {
		if strings.TrimSpace(lines[b.line][b.from:]) != removed {
			lines[b.line] = lines[b.line][:b.from] + removed
		}
	}
	return lines
}
