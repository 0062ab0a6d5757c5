package narrator

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
)

// Narrator follows one environment.
type Narrator struct {
	Env    *demoenv.Env
	Screen *terminal.Screen
	// Timeout is how long each part may take.
	Timeout time.Duration
	// API reaches the management cluster, and Auditor remembers what was there at
	// first. Start sets both.
	API     client.Client
	Auditor *demoenv.Auditor

	watcher *watcher
}

// Chapter is a part of what is told, with a title that a person could type where that
// is how it begins.
type Chapter struct {
	Title string
	Tell  func(context.Context) error
}

// Read tells chapters one after the other, until something fails.
func (n *Narrator) Read(ctx context.Context, chapters ...Chapter) error {
	for _, c := range chapters {
		n.Screen.Begin(c.Title)
		if err := c.Tell(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Start brings up all that is there before a user comes.
func (n *Narrator) Start(ctx context.Context) error {
	if err := n.Within(ctx, n.Env.Start); err != nil {
		return err
	}
	n.Screen.Step("all hosts are Ready")
	var err error
	if n.API, err = n.Env.Client(); err != nil {
		return err
	}
	if n.Auditor, err = n.Env.NewAuditor(ctx); err != nil {
		return err
	}
	n.watcher, err = newWatcher(ctx, n.Env)
	return err
}

// Settle follows what happens until everything is as it was asked for. If that
// takes too long, it tells what is not, and why.
func (n *Narrator) Settle(ctx context.Context) error {
	wanted, err := readSpecs(ctx, n.API)
	if err != nil {
		return err
	}
	return n.Follow(ctx, func(p Picture) bool { return p.lack(wanted) == "" })
}

// Follow prints what happens until done says so.
func (n *Narrator) Follow(ctx context.Context, done func(Picture) bool) error {
	return n.Within(ctx, func(limited context.Context) error {
		err := n.watcher.until(limited, n.Screen, done)
		if err != nil && ctx.Err() == nil {
			n.showWhatIsMissing(ctx)
		}
		return err
	})
}

// Within gives a part of the story its time.
func (n *Narrator) Within(ctx context.Context, do func(context.Context) error) error {
	return terminal.Within(ctx, n.Timeout, do)
}
