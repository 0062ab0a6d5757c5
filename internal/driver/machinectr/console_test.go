package machinectr_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/driver/machinectr"
)

func TestOfAConsoleItsEndIsToldInWholeLines(t *testing.T) {
	long := strings.Repeat("0123456789abcde\n", 2<<10)
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"as it was written":        {"[\x1b[0;32m  OK  \x1b[0m] Started\r\n\nand more\n", []string{"[\x1b[0;32m  OK  \x1b[0m] Started\r", "", "and more"}},
		"a line that has no end":   {"a\nb", []string{"a", "b"}},
		"nothing":                  {"", nil},
		"no half of a line":        {"secret" + long[6:] + "x\n", append(strings.Split(strings.TrimSpace(long[len(long)-16<<10+16:]), "\n"), "x")},
		"nothing of one long line": {strings.Repeat("x", 20<<10), []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			dir := t.TempDir()
			g.Expect(os.WriteFile(filepath.Join(dir, "console.log"), []byte(c.text), 0o600)).To(Succeed())
			g.Expect(machinectr.ConsoleOf(dir)).To(Equal(c.want))
		})
	}
	t.Run("none was written", func(t *testing.T) {
		NewWithT(t).Expect(machinectr.ConsoleOf(t.TempDir())).To(BeNil())
	})
}
