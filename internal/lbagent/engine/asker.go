package engine

import (
	"context"
	"errors"
	"time"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
)

// asking asks HAProxy how its servers are doing.
type asking func(context.Context) (map[haproxy.ID]haproxy.ServerStat, error)

// errSlow is for an HAProxy that has not answered yet, which is not to have failed.
var errSlow = errors.New("has not answered yet")

// asker asks one question at a time, and lets nobody wait long for the answer: that
// HAProxy takes its time must not keep back the news that a VIP has moved.
type asker struct {
	stat   asking
	answer chan answer
}

type answer struct {
	stats map[haproxy.ID]haproxy.ServerStat
	err   error
}

// ask returns errSlow for as long as the question that was last asked is open.
func (a *asker) ask(ctx context.Context) (map[haproxy.ID]haproxy.ServerStat, error) {
	if a.answer == nil {
		open := make(chan answer, 1)
		a.answer = open
		go func() {
			stats, err := a.stat(ctx)
			open <- answer{stats, err}
		}()
	}
	enough := time.NewTimer(lookInterval)
	defer enough.Stop()
	select {
	case said := <-a.answer:
		a.answer = nil
		return said.stats, said.err
	case <-enough.C:
		return nil, errSlow
	}
}

// wait waits for the answer that is open, whose context has ended.
func (a *asker) wait() {
	if a.answer != nil {
		<-a.answer
	}
}
