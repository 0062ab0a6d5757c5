package main

import (
	"context"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

const cleanWithin = 30 * time.Second

// remove deletes all that the story made, and lets the auditor look for what is
// left.
func (s *story) remove(manifests ...string) narrator.Chapter {
	var files []string
	for _, file := range manifests {
		files = append(files, "-f", file)
	}
	return narrator.Chapter{Title: "kubectl delete " + strings.Join(files, " "), Tell: func(ctx context.Context) error {
		if _, err := s.Env.RunKubectl(ctx, append([]string{"delete", "--wait=false"}, files...)...); err != nil {
			return err
		}
		if err := s.Follow(ctx, narrator.Picture.Empty); err != nil {
			return err
		}
		if _, err := s.Env.RunKubectl(ctx, "delete", "--ignore-not-found", "-k", s.manifests); err != nil {
			return err
		}
		s.Screen.Step("auditing the hosts and the management cluster")
		if err := s.Auditor.WaitClean(ctx, cleanWithin); err != nil {
			return err
		}
		s.Screen.Step("nothing is left: no VM, disk, seed, claim, address, Secret or finalizer\n")
		return nil
	}}
}
