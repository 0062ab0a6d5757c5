package seed

import (
	"fmt"
	"strings"
)

// jinjaHeader is the first line of user data that cloud-init renders.
const jinjaHeader = "## template: jinja"

func isJinja(data string) bool {
	line, _, _ := strings.Cut(data, "\n")
	return strings.EqualFold(strings.Join(strings.Fields(line), ""), strings.ReplaceAll(jinjaHeader, " ", ""))
}

// render renders the strict subset of jinja that is known: plain variables.
// Statements, comments, filters and unknown variables are errors. In real jinja
// an unknown variable becomes a placeholder text that no program understands.
func render(text string, vars map[string]string) (string, error) {
	var out strings.Builder
	line := 1
	for {
		i := strings.Index(text, "{")
		if i < 0 || i+1 >= len(text) {
			out.WriteString(text)
			return out.String(), nil
		}
		line += strings.Count(text[:i], "\n")
		switch text[i+1] {
		case '%', '#':
			return "", fmt.Errorf("line %d: jinja %q is not supported", line, text[i:i+2])
		case '{':
		default:
			out.WriteString(text[:i+1])
			text = text[i+1:]
			continue
		}
		end := strings.Index(text[i:], "}}")
		if end < 0 {
			return "", fmt.Errorf("line %d: a jinja expression has no end", line)
		}
		name := strings.Trim(strings.TrimSpace(text[i+2:i+end]), "-")
		value, ok := vars[strings.TrimSpace(name)]
		if !ok {
			return "", fmt.Errorf("line %d: jinja expression %q is not known", line, strings.TrimSpace(name))
		}
		out.WriteString(text[:i])
		out.WriteString(value)
		text = text[i+end+2:]
	}
}
