package main

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/testenv/machinehosts"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// runPods runs on every worker what answers behind the Service.
func (s *story) runPods() narrator.Chapter {
	return narrator.Chapter{Title: narrator.WorkloadCommand(shop, "apply -f "+machinehosts.PodsSample), Tell: func(ctx context.Context) error {
		return s.Within(ctx, func(ctx context.Context) error { return s.RunPods(ctx, shop, machinehosts.PodsSample) })
	}}
}
