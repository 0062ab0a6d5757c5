package main

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestWhatASpecSaysIsInForceWhenAllVMsCarryThePlanOfIt(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*capstanv1.LoadBalancer)
		want   bool
	}{
		"all carry it":          {func(*capstanv1.LoadBalancer) {}, true},
		"it is not planned":     {func(lb *capstanv1.LoadBalancer) { lb.Generation++ }, false},
		"one has an older plan": {func(lb *capstanv1.LoadBalancer) { lb.Status.Instances[1].AppliedGeneration-- }, false},
		"a Service is refused": {func(lb *capstanv1.LoadBalancer) {
			lb.Status.RefusedServices = []capstanv1.RefusedService{{Name: "a/b"}}
		}, false},
		"there is nobody to have": {func(lb *capstanv1.LoadBalancer) { lb.Status.Instances = nil }, false},
	} {
		t.Run(name, func(t *testing.T) {
			lb := &capstanv1.LoadBalancer{}
			lb.Generation, lb.Status.PlannedGeneration, lb.Status.PlanGeneration = 3, 3, 7
			lb.Status.Instances = []capstanv1.LoadBalancerInstance{{AppliedGeneration: 7}, {AppliedGeneration: 7}}
			tc.change(lb)
			NewWithT(t).Expect(carriesAll(lb)).To(Equal(tc.want))
		})
	}
}

func TestWhoeverWaitsSeesEveryWrite(t *testing.T) {
	g := NewWithT(t)
	c := &chronicle{changed: make(chan struct{})}
	seen := make(chan error, 1)
	go func() {
		seen <- c.await(t.Context(), "it is written twice", func() bool { return c.writes == 2 })
	}()
	c.note(&capstanv1.LoadBalancer{}, time.Now())
	c.note(&capstanv1.LoadBalancer{}, time.Now())
	g.Eventually(seen).Should(Receive(Succeed()))
}
