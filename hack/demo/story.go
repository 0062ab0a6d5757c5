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

// What the story is about, in config/samples.
const (
	samples   = "config/samples"
	labSample = samples + "/lab.yaml"

	poolName    = "shop-linux"
	nextVersion = "v1.36.4"
)

var (
	shop = client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "shop"}
	lab  = client.ObjectKey{Namespace: "lab", Name: "lab"}
)

// story is what all chapters share.
type story struct {
	*narrator.Narrator

	// manifests is the folder of what is applied first. Its cluster's own are in
	// shop.yaml.
	manifests string
	// ready is how long the first cluster took to become Ready.
	ready time.Duration
	// vip is the virtual address of the Service in the first cluster.
	vip netip.Addr
}

// tell tells the story to its happy end, or until something fails.
func (s *story) tell(ctx context.Context, once bool) error {
	beginning, rest := s.simulated()
	if s.Env.Machines != nil {
		beginning, rest = s.real()
	}
	if err := s.Read(ctx, beginning...); err != nil {
		return err
	}
	if !once {
		return s.stay(ctx)
	}
	if err := s.Read(ctx, rest...); err != nil {
		return err
	}
	s.result()
	return nil
}

// simulated is the story on simulated hosts: up to where it stays, and the rest.
func (s *story) simulated() (beginning, rest []narrator.Chapter) {
	hosts := "simulated Hyper-V hosts"
	if s.Env.FakeHyperV {
		hosts = "hosts with a fake Hyper-V"
	}
	return []narrator.Chapter{s.begin(hosts), s.create(), s.serve()},
		[]narrator.Chapter{s.createSecond(), s.scale(6), s.scale(1), s.upgrade(), s.loseHost(), s.withdraw(), s.remove(s.manifests+"/shop.yaml", labSample)}
}

// real is the story with real guests, which are fewer.
func (s *story) real() (beginning, rest []narrator.Chapter) {
	return []narrator.Chapter{s.begin("hosts of machine containers"), s.create(), s.runPods(), s.serve()},
		[]narrator.Chapter{s.scale(2), s.scale(1), s.withdraw(), s.remove(s.manifests + "/shop.yaml")}
}

func (s *story) result() {
	s.Screen.Plain("RESULT demo=ok ready_seconds=%.1f", s.ready.Seconds())
}

// begin brings up all that is there before a user comes.
func (s *story) begin(hosts string) narrator.Chapter {
	return narrator.Chapter{Title: fmt.Sprintf("A management cluster and %d %s", s.Env.Hosts, hosts), Tell: s.Start}
}
