package lb

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/netlab"
	"github.com/capstan-k8s/capstan/internal/testenv/lblab"
)

var (
	rate = flag.Int("rate", 400, "requests in a second during planned changes")
	all  = flag.Bool("all", false, "run what takes minutes, too")
)

const (
	streams  = 20
	patience = 60 * time.Second
)

// programs are built anew: bin/ may be of another day.
var programs lblab.Programs

func TestMain(m *testing.M) {
	netlab.Main(m, func() (err error) {
		programs, err = build()
		return err
	})
}

// build builds the programs. The one that is tested has the race detector; what
// measures has not, nor what is started every second.
func build() (lblab.Programs, error) {
	for _, program := range []string{"haproxy", "keepalived", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			return lblab.Programs{}, fmt.Errorf("%w: hack/packages.sh lb installs it", err)
		}
	}
	// Here it goes with the laboratory.
	dir := "/run/built"
	if err := os.Mkdir(dir, 0o755); err != nil {
		return lblab.Programs{}, err
	}
	p := lblab.Programs{
		CapstanLB: filepath.Join(dir, "capstan-lb"), Probe: filepath.Join(dir, "capstan-lb-probe"), Traffic: filepath.Join(dir, "lab-traffic"),
	}
	for _, args := range [][]string{
		{"-race", "-o", p.CapstanLB, "../../cmd/capstan-lb"},
		{"-o", p.Probe, "../../cmd/capstan-lb"},
		{"-o", p.Traffic, "../../hack/lab-traffic"},
	} {
		if out, err := exec.Command("go", append([]string{"build"}, args...)...).CombinedOutput(); err != nil {
			return p, fmt.Errorf("go build %v: %w: %s", args, err, out)
		}
	}
	return p, nil
}

// world is a laboratory in which every VM has the plan in force.
type world struct {
	*lblab.Lab
	*WithT
	t   *testing.T
	ctx context.Context
}

func start(t *testing.T, vms int) *world {
	t.Helper()
	w := newWorld(t, vms)
	w.Expect(w.Apply(w.ctx, w.Plan())).To(Succeed())
	w.Expect(w.Settle(w.ctx)).To(Succeed())
	return w
}

// newWorld returns one whose VMs have no plan yet.
func newWorld(t *testing.T, vms int) *world {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	w := &world{WithT: NewWithT(t), t: t, ctx: ctx}
	w.SetDefaultEventuallyTimeout(patience)
	lab, err := lblab.Start(ctx, programs, vms)
	w.Lab = lab
	t.Cleanup(func() {
		w.logs()
		cancel()
		w.Expect(lab.Close()).To(Succeed())
	})
	w.Expect(err).NotTo(HaveOccurred())
	return w
}

// logs fails the test where the race detector has spoken, and shows what the programs
// printed where it has failed.
func (w *world) logs() {
	w.t.Helper()
	for _, vm := range w.VMs {
		for _, service := range vm.Services() {
			log, err := service.Log()
			if err != nil {
				w.t.Errorf("log of %s on %s: %s", service.Name, vm.Name, err)
				continue
			}
			if service.Name == "capstan-lb" && bytes.Contains(log, []byte("DATA RACE")) {
				w.t.Errorf("data race in capstan-lb on %s", vm.Name)
			}
			if w.t.Failed() {
				w.t.Logf("%s on %s:\n%s", service.Name, vm.Name, log[max(0, len(log)-4000):])
			}
		}
	}
}
