package machinectr

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

const (
	consoleFile = "console.log"
	// consoleTail is how much of a console is told: its end.
	consoleTail = 16 << 10
)

// consoleOf returns the last lines that a guest has written, as it wrote them.
func consoleOf(runPath string) []string {
	f, err := os.Open(filepath.Join(runPath, consoleFile))
	if err != nil {
		return nil
	}
	defer f.Close()
	cut := false
	if info, err := f.Stat(); err == nil && info.Size() > consoleTail {
		if _, err := f.Seek(-consoleTail, io.SeekEnd); err != nil {
			return nil
		}
		cut = true
	}
	text, err := io.ReadAll(io.LimitReader(f, consoleTail))
	if err != nil || len(text) == 0 {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	if cut {
		// Of half a line nobody can tell whether it is half a secret.
		lines = lines[1:]
	}
	return lines
}
