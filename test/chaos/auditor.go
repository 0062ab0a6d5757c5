package main

import (
	"context"
	"time"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/testenv/onlooker"
)

const (
	// lookEvery is how often the auditor looks at the hosts, readEvery how often it
	// reads what the management cluster says, listenEvery how often it hears whether
	// everybody says why they wait.
	lookEvery   = 100 * time.Millisecond
	readEvery   = 400 * time.Millisecond
	listenEvery = 2 * time.Second
)

// auditor looks all along.
type auditor struct {
	*site
	book     *book
	listener *listener
	findings *findings
	steps    *onlooker.Tally
	onlooker *onlooker.Onlooker
	// others are what is on hosts and not ours.
	others *bystanders

	// judged is the number of the last deed that was judged.
	judged int
	began  time.Time
	seen   sight

	stop    context.CancelFunc
	stopped chan struct{}
}

// startAuditor begins to look.
func startAuditor(ctx context.Context, w *site, f *findings, others *bystanders) *auditor {
	ctx, stop := context.WithCancel(ctx)
	a := &auditor{
		site: w, book: newBook(w.api), listener: newListener(), findings: f, steps: onlooker.NewTally(),
		others: others, began: time.Now(), stop: stop, stopped: make(chan struct{}),
	}
	var before map[string]bool
	a.onlooker = onlooker.Start(ctx, onlooker.Options{
		World: func(ctx context.Context) (fabricapi.World, error) {
			before = a.others.all()
			return w.World(ctx)
		},
		Every: lookEvery, Steps: a.steps,
		Judge: func(now fabricapi.World) []string {
			f.add(look(now, before)...)
			return nil
		},
	})
	go a.run(ctx)
	return a
}

// finish ends the looking, and judges what is left to judge, the looking itself included.
func (a *auditor) finish(ctx context.Context) error {
	a.stop()
	<-a.stopped
	report := a.onlooker.Stop()
	for line := range report.Violations {
		a.findings.add(finding{stuck, "looking at the hosts: " + line})
	}
	if err := a.read(ctx); err != nil {
		return err
	}
	a.findings.add(a.book.rules(a.ours).neverKnown(report.Identities, a.others)...)
	a.seen.lasted, a.seen.looks, a.seen.longest, a.seen.heard = time.Since(a.began), report.Looks, report.Longest, a.listener.heard
	a.findings.add(a.seen.lacks()...)
	return nil
}

func (a *auditor) run(ctx context.Context) {
	defer close(a.stopped)
	ticker := time.NewTicker(readEvery)
	defer ticker.Stop()
	var listened time.Time
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		// While the API server is down nothing can be judged; it is when it is back.
		_ = a.read(ctx)
		if time.Since(listened) < listenEvery {
			continue
		}
		listened = time.Now()
		if objects, err := a.book.talk(ctx); err == nil {
			a.findings.add(a.listener.hear(objects, time.Now())...)
		}
	}
}

// read judges what hosts were told to take away. What the management cluster says is
// read after it: whoever is not being deleted then was not before.
func (a *auditor) read(ctx context.Context) error {
	deeds, err := a.Admin.Deeds(ctx, a.judged)
	if err != nil {
		return err
	}
	if err := a.book.read(ctx); err != nil {
		return err
	}
	a.seen.readings++
	rules := a.book.rules(a.ours)
	for _, deed := range deeds {
		a.seen.judge(a.judged, deed)
		a.findings.add(rules.judge(deed)...)
		a.judged = deed.Number
	}
	return nil
}
