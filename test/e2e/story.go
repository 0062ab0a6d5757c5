package main

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

const poolName = "shop-linux"

var shop = client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "shop"}

// story is what all steps share.
type story struct {
	*narrator.Narrator

	began time.Time
	// byHandTook is how long two guests take to be Ready nodes when a person makes them a
	// cluster, nodesReady how long Capstan takes for that, and ready until it says that all
	// is well.
	byHandTook, nodesReady, ready time.Duration
	// vip is the virtual address of the Service.
	vip netip.Addr
	// nodes is how many nodes were Ready when they were counted last.
	nodes int
	took  []timing
}

type timing struct {
	title string
	took  time.Duration
}

// step is a part of the story that has a number.
type step struct {
	number string
	tell   func(*story) narrator.Chapter
}

func steps() []step {
	return []step{
		{"1", (*story).create},
		{"2", (*story).grow},
		{"2b", (*story).reboot},
		{"3", (*story).killLoadBalancer},
		{"4", (*story).loseHost},
		{"5", (*story).roll},
	}
}

func numbers() []string {
	var all []string
	for _, s := range steps() {
		all = append(all, s.number)
	}
	return all
}

// tell tells the story up to a step, and then has everything deleted.
func (s *story) tell(ctx context.Context, last string) error {
	if err := s.part(ctx, "", narrator.Chapter{Title: fmt.Sprintf("A management cluster and %d hosts", s.Env.Hosts), Tell: s.Start}); err != nil {
		return err
	}
	if err := s.part(ctx, "", s.makeByHand()); err != nil {
		return err
	}
	for _, step := range steps() {
		if err := s.part(ctx, step.number, step.tell(s)); err != nil {
			return err
		}
		if step.number == last {
			break
		}
	}
	if err := s.count(ctx); err != nil {
		return err
	}
	return s.part(ctx, "6", s.remove())
}

func (s *story) part(ctx context.Context, number string, c narrator.Chapter) error {
	if number != "" {
		c.Title = "Step " + number + ": " + c.Title
	}
	began := time.Now()
	err := s.Read(ctx, c)
	s.took = append(s.took, timing{c.Title, time.Since(began)})
	return err
}

// count counts the nodes as their cluster tells them.
func (s *story) count(ctx context.Context) error {
	if err := s.ShowNodes(ctx, shop); err != nil {
		return err
	}
	// All are Ready, or that was an error.
	nodes, err := s.Nodes(ctx, shop)
	s.nodes = len(nodes)
	return err
}

func (s *story) result() {
	s.Screen.Plain("\nseconds  what")
	for _, t := range s.took {
		s.Screen.Plain("%7.1f  %s", t.took.Seconds(), t.title)
	}
	s.Screen.Plain("\nOne control-plane and one worker node, a load balancer before them: both Ready %.1f s after kubectl apply, all of it Ready after %.1f s;"+
		"\nby hand, without a load balancer, both Ready after %.1f s: %.2f times",
		s.nodesReady.Seconds(), s.ready.Seconds(), s.byHandTook.Seconds(), s.nodesReady.Seconds()/s.byHandTook.Seconds())
	s.Screen.Plain("RESULT e2e=ok nodes_ready=%d seconds=%.0f", s.nodes, time.Since(s.began).Seconds())
}
