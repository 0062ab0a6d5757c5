package agent_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/capstan-k8s/capstan/internal/agent"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/testenv/agenttest"
	"github.com/capstan-k8s/capstan/internal/testenv/logtest"
)

func TestAnAgentThatIsStoppedFinishesAnsweringAndLeavesTheRestToTheJournal(t *testing.T) {
	g := NewWithT(t)
	driver := agenttest.NewDriver("hv-1")
	host := agenttest.Start(t, agenttest.Options{Driver: driver})
	client := host.Client()
	gate := driver.Block("EnsureVM")
	type answer struct {
		vm  hostapi.VM
		err error
	}
	answered := make(chan answer, 1)
	go func() {
		vm, err := client.EnsureVM(t.Context(), wanted("vm-1"))
		answered <- answer{vm, err}
	}()
	gate.AwaitCall()
	host.Restart(nil)

	a := <-answered
	g.Expect(a.err).NotTo(HaveOccurred())
	g.Expect(a.vm.Operation).NotTo(BeNil())
	operation, err := host.Client().GetOperation(t.Context(), a.vm.Operation.Ref)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(operation.Done).To(BeFalse())
	gate.Open()
	g.Expect(host.Client().Bury(t.Context(), nil)).To(BeEmpty())
	g.Eventually(func() bool {
		operation, err = host.Client().GetOperation(t.Context(), a.vm.Operation.Ref)
		g.Expect(err).NotTo(HaveOccurred())
		return operation.Done
	}).WithTimeout(20 * time.Second).WithPolling(5 * time.Millisecond).Should(BeTrue())
	g.Expect(operation.Err).NotTo(HaveOccurred())
}

func TestAPanicOfACallLeavesTheAgentRunning(t *testing.T) {
	g := NewWithT(t)
	log := &logtest.Text{}
	recovers := agent.RecoverPanics(slog.New(slog.NewTextHandler(log, nil)))
	_, err := recovers(t.Context(), nil, &grpc.UnaryServerInfo{FullMethod: "/capstan.host.v1.HostAgent/GetVM"},
		func(context.Context, any) (any, error) { panic("a secret") })
	g.Expect(status.Code(err)).To(Equal(codes.Internal))
	g.Expect(err).NotTo(MatchError(ContainSubstring("a secret")))
	g.Expect(log.String()).To(ContainSubstring("GetVM"))
}
