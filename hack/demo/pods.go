package main

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// runPods runs on every worker what answers behind the Service.
func (s *story) runPods() narrator.Chapter {
	return narrator.Chapter{Title: narrator.WorkloadCommand(shop, "apply -f "+demoenv.PodsSample), Tell: func(ctx context.Context) error {
		return s.Within(ctx, func(ctx context.Context) error { return s.RunPods(ctx, shop, demoenv.PodsSample) })
	}}
}
