package main

import (
	"context"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

const cleanWithin = time.Minute

// remove deletes everything, and has the auditor look for what is left.
func (s *story) remove() narrator.Chapter {
	return narrator.Chapter{Title: "all is deleted, and nothing is left", Tell: func(ctx context.Context) error {
		if _, err := s.Env.RunKubectl(ctx, "delete", "--wait=false", "-f", s.Env.Manifests()+"/shop.yaml"); err != nil {
			return err
		}
		if err := s.Follow(ctx, narrator.Picture.Empty); err != nil {
			return err
		}
		if _, err := s.Env.RunKubectl(ctx, "delete", "--ignore-not-found", "-k", s.Env.Manifests()); err != nil {
			return err
		}
		if err := s.Auditor.WaitClean(ctx, cleanWithin); err != nil {
			return err
		}
		s.Screen.Step("nothing is left: no guest, VM, disk, seed, claim, address, Secret or finalizer")
		return nil
	}}
}
