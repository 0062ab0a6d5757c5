package logtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// Lines reads a log of JSON, one line each, with every value as a text.
func Lines(t testing.TB, log string) []map[string]string {
	t.Helper()
	var lines []map[string]string
	for raw := range strings.Lines(log) {
		var values map[string]any
		if err := json.Unmarshal([]byte(raw), &values); err != nil {
			t.Fatalf("line of the log %q: %v", raw, err)
		}
		line := map[string]string{}
		for key, value := range values {
			line[key] = fmt.Sprint(value)
		}
		lines = append(lines, line)
	}
	return lines
}
