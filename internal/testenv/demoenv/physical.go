package demoenv

import (
	"context"
	"fmt"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
)

// physical is the world beneath the agents: hosts, and their VMs.
type physical interface {
	// describe says what it is.
	describe() string
	// start brings it up, before any agent.
	start(ctx context.Context) error
	// boot has a host be there, and returns the arguments by which its agent reaches it.
	boot(host string) ([]string, error)
	// leftovers tells what VMs have left there. Images that were staged may stay.
	leftovers(ctx context.Context) ([]string, error)
	// stop takes away what processes that have ended leave there.
	stop() error
}

// simulated is the fabric.
type simulated struct{ env *Env }

func (s simulated) describe() string {
	return fmt.Sprintf("%d simulated Hyper-V hosts in a failover cluster", s.env.Hosts)
}

func (s simulated) start(ctx context.Context) error { return s.env.startFabric(ctx) }

func (s simulated) stop() error { return nil }

// machines are hosts of machine containers.
type machines struct {
	*machinehosts.Hosts

	count int
}

func (m machines) describe() string {
	return fmt.Sprintf("%d hosts of machine containers, which stand in for Hyper-V: their guests are real", m.count)
}

func (m machines) start(ctx context.Context) error { return m.Prepare(ctx) }

func (m machines) boot(host string) ([]string, error) { return m.AgentArgs(host), m.Boot(host) }

func (m machines) leftovers(ctx context.Context) ([]string, error) { return m.Leftovers(ctx) }

// tearDownWithin is more than guests take to be gone.
const tearDownWithin = time.Minute

func (m machines) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), tearDownWithin)
	defer cancel()
	return m.TearDown(ctx)
}
