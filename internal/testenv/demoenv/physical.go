package demoenv

import "context"

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
