package main

import (
	"context"
	"time"
)

const cleanWithin = 30 * time.Second

// remove deletes all that the story made, and lets the auditor look for what is
// left.
func remove() chapter {
	return chapter{"kubectl delete -f " + shopSample + " -f " + labSample, func(ctx context.Context, s *story) error {
		if _, err := s.env.RunKubectl(ctx, "delete", "--wait=false", "-f", shopSample, "-f", labSample); err != nil {
			return err
		}
		if err := s.follow(ctx, picture.empty); err != nil {
			return err
		}
		if _, err := s.env.RunKubectl(ctx, "delete", "--ignore-not-found", "-k", samples); err != nil {
			return err
		}
		s.screen.Step("auditing the hosts and the management cluster")
		if err := s.auditor.WaitClean(ctx, cleanWithin); err != nil {
			return err
		}
		s.screen.Step("nothing is left: no VM, disk, seed, claim, address, Secret or finalizer\n")
		return nil
	}}
}
