package terminal

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	. "github.com/onsi/gomega"
)

func TestEachPartTellsItsOwnTime(t *testing.T) {
	g := NewWithT(t)
	var out bytes.Buffer
	s := NewScreen(&out)
	s.Begin("kubectl apply")
	s.Step("all Ready")
	s.Text("NAME READY\nshop True\n")
	s.Plain("RESULT seconds=%.1f", 1.25)
	told := regexp.MustCompile(`\d\.\ds`).ReplaceAllString(out.String(), "0.0s")
	g.Expect(told).To(Equal("\nkubectl apply\n   0.0s  all Ready\n         NAME READY\n         shop True\nRESULT seconds=1.2\n"))
}

func TestOnlyLogsWithErrorsAreShown(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	write := func(name, text string) {
		g.Expect(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)).To(Succeed())
	}
	write("manager.log", `{"level":"info","msg":"fine"}`+"\n"+`{"level":"error","msg":"not so fine"}`+"\n")
	write("etcd.log", "all quiet\n")
	var out bytes.Buffer
	NewScreen(&out).LogErrors(dir)
	g.Expect(out.String()).To(And(ContainSubstring("not so fine"), ContainSubstring("manager.log"),
		Not(ContainSubstring(`"fine"`)), Not(ContainSubstring("etcd.log"))))
}
