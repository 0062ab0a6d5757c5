package haproxy_test

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/lbagent/haproxy"
)

func TestReloadsAreSpacedOnceManyWorkersAreLeft(t *testing.T) {
	for old, want := range map[int]time.Duration{
		0: 0, 64: 0, 65: 250 * time.Millisecond, 84: 5 * time.Second, 104: 10 * time.Second, 200: 10 * time.Second,
	} {
		NewWithT(t).Expect(haproxy.Spacing(old)).To(Equal(want), "%d workers", old)
	}
}

func TestReplacedWorkersAreAskedWhenSomethingMayBeOther(t *testing.T) {
	g := NewWithT(t)
	now := time.Unix(1700000000, 0)
	of := haproxy.OldSessions(func() time.Time { return now })
	server, asked := haproxy.ID{Backend: "be:web", Name: "s:a"}, 0
	ask := func(pid int) (map[haproxy.ID]haproxy.ServerStat, error) {
		asked++
		if pid == 99 {
			return nil, errors.New("has ended")
		}
		return map[haproxy.ID]haproxy.ServerStat{server: {Sessions: int64(pid)}}, nil
	}
	for _, step := range []struct {
		name     string
		after    time.Duration
		workers  []int
		sessions int64
		asked    int
	}{
		{"none", 0, nil, 0, 0},
		{"one was replaced", 0, []int{7}, 7, 1},
		{"soon after", time.Second, []int{7}, 7, 0},
		{"another was replaced", 0, []int{7, 8}, 15, 2},
		{"one has ended", 0, []int{8}, 8, 1},
		{"later", 2 * time.Second, []int{8}, 8, 1},
		{"one is just ending", 0, []int{8, 99}, 8, 2},
	} {
		now, asked = now.Add(step.after), 0
		g.Expect(of(step.workers, ask)[server]).To(Equal(step.sessions), step.name)
		g.Expect(asked).To(Equal(step.asked), step.name)
	}
}
