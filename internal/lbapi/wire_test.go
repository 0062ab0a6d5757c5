package lbapi_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/capstan-k8s/capstan/internal/lbapi"
	"github.com/capstan-k8s/capstan/internal/lbapi/lbpb"
)

func TestPlanSurvivesTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Any plan, not only a good one: the agent must see the fault that was sent.
		p := rapid.OneOf(anyPlan(), rapid.Make[lbapi.Plan]()).Draw(t, "plan")
		p = lbapi.PlanFromProto(lbapi.PlanToProto(p)) // empty lists become nil
		b, err := proto.Marshal(lbapi.PlanToProto(p))
		if err != nil {
			t.Fatalf("marshal: %v", err)
		}
		var pb lbpb.Plan
		if err := proto.Unmarshal(b, &pb); err != nil {
			t.Fatalf("unmarshal: %v", err)
		}
		NewWithT(t).Expect(lbapi.PlanFromProto(&pb)).To(Equal(p))
	})
}

func TestConversionLosesNoField(t *testing.T) {
	g := NewWithT(t)
	p := newPlan(func(p *lbapi.Plan) {
		p.VIPs[0].Interface = "eth1"
		p.Frontends[0].Backends[0].Drain = true
		p.Frontends[0].Check.Port = 31000
	})
	g.Expect(lbapi.PlanFromProto(lbapi.PlanToProto(p))).To(Equal(p))
}

func TestStatusSurvivesTheWire(t *testing.T) {
	g := NewWithT(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	s := lbapi.Status{
		Name: "lb-0", Generation: 3, Hash: "abc", Applied: at,
		VIPs:            []lbapi.VIPStatus{{Address: "192.0.2.10", Role: lbapi.RoleActive, Since: at}},
		Peers:           []lbapi.PeerStatus{{Name: "lb-1", Address: "192.0.2.3", Silent: true}},
		Backends:        []lbapi.BackendStatus{{Frontend: "f", Backend: "b", Health: lbapi.HealthDown, Since: at, Draining: true, Sessions: 4, Message: "refused"}},
		BackendsLeftOut: 5,
		Versions:        map[string]string{"capstan-lb": "v1"}, Messages: []string{"one"},
	}
	g.Expect(lbapi.StatusFromProto(lbapi.StatusToProto(s))).To(Equal(s))
	g.Expect(lbapi.StatusFromProto(lbapi.StatusToProto(lbapi.Status{}))).To(Equal(lbapi.Status{}))
}

func TestErrorsKeepClassAndFaultsOnTheWire(t *testing.T) {
	for class, err := range map[lbapi.Class]error{
		lbapi.InvalidPlan: lbapi.InvalidPlanError(lbapi.Faults{{Field: "a", Message: "b"}}),
		lbapi.Stale:       lbapi.Errorf(lbapi.Stale, "generation 1 is older"),
		lbapi.Conflict:    fmt.Errorf("apply: %w", lbapi.Errorf(lbapi.Conflict, "other content")),
		lbapi.ApplyFailed: lbapi.Errorf(lbapi.ApplyFailed, "bad bytes \xff"),
		lbapi.Transient:   errors.New("anything else"),
	} {
		t.Run(string(class), func(t *testing.T) {
			g := NewWithT(t)
			got := lbapi.ErrorFromStatus(lbapi.ErrorToStatus(err))
			g.Expect(lbapi.ClassOf(got)).To(Equal(class))
			var typed *lbapi.Error
			g.Expect(errors.As(got, &typed)).To(BeTrue())
			if class == lbapi.InvalidPlan {
				g.Expect(typed.Faults).To(Equal(lbapi.Faults{{Field: "a", Message: "b"}}))
			}
		})
	}
	NewWithT(t).Expect(lbapi.ErrorToStatus(nil)).To(Succeed())
	NewWithT(t).Expect(lbapi.ErrorFromStatus(nil)).To(Succeed())
}

func TestErrorsWithoutDetailAreNeverAnAnswer(t *testing.T) {
	for code, class := range map[codes.Code]lbapi.Class{
		codes.Unavailable:        lbapi.Unreachable,
		codes.DeadlineExceeded:   lbapi.Unreachable,
		codes.Unauthenticated:    lbapi.Untrusted,
		codes.FailedPrecondition: lbapi.Transient,
		codes.InvalidArgument:    lbapi.Transient,
		codes.ResourceExhausted:  lbapi.TooLarge,
	} {
		NewWithT(t).Expect(lbapi.ClassOf(lbapi.ErrorFromStatus(status.Error(code, "x")))).To(Equal(class), code.String())
	}
}

func TestHashIgnoresOrderAndGenerationOnly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := anyPlan().Draw(t, "plan")
		shuffled := p.Clone()
		shuffled.Generation++
		shuffled.Peers = rapid.Permutation(p.Peers).Draw(t, "peers")
		shuffled.VIPs = rapid.Permutation(p.VIPs).Draw(t, "vips")
		shuffled.Frontends = rapid.Permutation(shuffled.Frontends).Draw(t, "frontends")
		for i, f := range shuffled.Frontends {
			shuffled.Frontends[i].Backends = rapid.Permutation(f.Backends).Draw(t, "backends")
			shuffled.Frontends[i].AllowedSources = rapid.Permutation(f.AllowedSources).Draw(t, "sources")
		}
		if lbapi.Hash(p) != lbapi.Hash(shuffled) {
			t.Fatal("order or generation changed the hash")
		}
	})
}

func TestHashTellsEveryFieldApart(t *testing.T) {
	base := lbapi.Hash(newPlan())
	for name, with := range map[string]func(*lbapi.Plan){
		"cluster":   func(p *lbapi.Plan) { p.Cluster = "x" },
		"self":      func(p *lbapi.Plan) { p.Self = "shop-lb-1" },
		"vip":       func(p *lbapi.Plan) { p.VIPs[0].Address = "192.0.2.11" },
		"network":   func(p *lbapi.Plan) { p.VIPs[0].Network = "192.0.0.0/16" },
		"interface": func(p *lbapi.Plan) { p.VIPs[0].Interface = "eth1" },
		"vrid":      func(p *lbapi.Plan) { p.VIPs[0].VRID++ },
		"peers":     func(p *lbapi.Plan) { p.Peers = p.Peers[:1] },
		"priority":  func(p *lbapi.Plan) { p.Peers[0].Priority++ },
		"port":      func(p *lbapi.Plan) { p.Frontends[0].Port++ },
		"sources":   func(p *lbapi.Plan) { p.Frontends[0].AllowedSources = nil },
		"backends":  func(p *lbapi.Plan) { p.Frontends[0].Backends = nil },
		"drain":     func(p *lbapi.Plan) { p.Frontends[0].Backends[0].Drain = true },
		"check":     func(p *lbapi.Plan) { p.Frontends[0].Check.Fall++ },
		"ca":        func(p *lbapi.Plan) { p.Frontends[0].Check.CA = "" },
		"check at":  func(p *lbapi.Plan) { p.Frontends[0].Check.Port = 31000 },
	} {
		NewWithT(t).Expect(lbapi.Hash(newPlan(with))).NotTo(Equal(base), name)
	}
}
