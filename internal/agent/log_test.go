package agent_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
)

func TestAVMCanBeFollowedThroughTheLog(t *testing.T) {
	for name, test := range map[string]struct {
		level slog.Level
		want  []string
	}{
		"one line for each effect": {level: slog.LevelInfo, want: []string{
			"operation ends well EnsureVM request-1", "operation ends well DeleteVM request-2",
		}},
		"every call of the driver for those who look closely": {level: slog.LevelDebug, want: []string{
			"operation begins EnsureVM request-1", "driver called GetVM request-1", "driver called EnsureVM request-1",
			"operation ends well EnsureVM request-1",
			"operation begins DeleteVM request-2", "driver called GetVM request-2", "driver called DeleteVM request-2",
			"operation ends well DeleteVM request-2",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			log := &logtest.Text{}
			host := agenttest.Start(t, agenttest.Options{
				Driver: agenttest.NewDriver("hv-1"), Log: slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: test.level})),
			})
			req := wanted("vm-1")
			req.Seed = []byte("secret of the seed")
			_, err := host.Client().EnsureVM(hostapi.WithRequestID(t.Context(), "request-1"), req)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(host.Client().DeleteVM(hostapi.WithRequestID(t.Context(), "request-2"), hostapi.DeleteVMRequest{Stamp: stamp("vm-1")})).To(Succeed())

			var told []string
			for _, line := range logtest.Lines(t, log.String()) {
				if line[hostapi.LogVMID] != "vm-1" {
					g.Expect(line).NotTo(ContainElement(ContainSubstring("vm-1")), "a line about a VM bears its ID")
					continue
				}
				op, ok := line["operation"]
				if !ok {
					op = line["op"]
				}
				if line["msg"] == "operation ends well" {
					g.Expect(line).To(HaveKey("duration"))
				}
				told = append(told, strings.Join([]string{line["msg"], op, line[hostapi.LogRequestID]}, " "))
			}
			g.Expect(told).To(Equal(test.want))
			g.Expect(log.String()).NotTo(ContainSubstring("secret"))
		})
	}
}

func TestARequestIDThatIsTooLongStaysOutOfTheLog(t *testing.T) {
	g := NewWithT(t)
	log := &logtest.Text{}
	host := agenttest.Start(t, agenttest.Options{Driver: agenttest.NewDriver("hv-1"), Log: slog.New(slog.NewTextHandler(log, nil))})
	_, err := host.Client().EnsureVM(hostapi.WithRequestID(t.Context(), strings.Repeat("x", 65)), wanted("vm-1"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(log.String()).To(ContainSubstring("vmID=vm-1"))
	g.Expect(log.String()).NotTo(ContainSubstring("xxx"))
}

func TestAHostThatStaysSilentIsToldOnce(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan struct{})
	go func() { defer close(ran); w.agent.Run(ctx) }()
	defer func() { cancel(); <-ran }()
	said := func(what string) int { return strings.Count(w.log.String(), what) }
	for _, fault := range []string{"no rights", "no rights", "no rights", "service stopped", ""} {
		w.clock.AwaitTimers(1)
		if fault != "" {
			w.driver.FailNext("Inventory", hostapi.Errorf(hostapi.HostUnreachable, "Inventory", "", "%s", fault))
		}
		w.clock.Advance(agent.LookEvery)
	}
	w.clock.AwaitTimers(1)
	w.eventually(func() int { return said("host tells again how it is") }).Should(Equal(1))
	w.Expect(said(`level=WARN msg="host does not tell how it is"`)).To(Equal(2))
	w.Expect(said("service stopped")).To(BeNumerically(">=", 1))
}
