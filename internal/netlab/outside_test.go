package netlab_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/netlab"
)

func TestWhatProgramsWereReachedByThatAreNotThereAnyMoreIsSwept(t *testing.T) {
	g := NewWithT(t)
	living, dead := exec.Command("sleep", "1000"), exec.Command("true")
	g.Expect(living.Start()).To(Succeed())
	t.Cleanup(func() {
		_ = living.Process.Kill()
		_ = living.Wait()
	})
	g.Expect(dead.Run()).To(Succeed())
	left, used := fmt.Sprintf("capstan-%d", dead.Process.Pid), fmt.Sprintf("capstan-%d", living.Process.Pid)
	const stranger = "capstan-x"
	for _, device := range []string{left, used, stranger} {
		g.Expect(exec.Command("ip", "link", "add", device, "type", "bridge").Run()).To(Succeed())
		t.Cleanup(func() { _ = exec.Command("ip", "link", "delete", device).Run() })
	}
	devices := func() []string {
		out, err := exec.Command("ip", "-brief", "link", "show", "type", "bridge").Output()
		g.Expect(err).NotTo(HaveOccurred())
		var names []string
		for line := range strings.Lines(string(out)) {
			names = append(names, strings.Fields(line)[0])
		}
		return names
	}
	g.Expect(devices()).To(ConsistOf(left, used, stranger))
	g.Expect(netlab.Sweep()).To(Succeed())
	g.Expect(devices()).To(ConsistOf(used, stranger))
}
