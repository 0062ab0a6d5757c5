package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// volumeKinds are what befalls volumes and the images on them.
func volumeKinds() []kind {
	faults := []fabricapi.FaultState{fabricapi.NoAccess, fabricapi.Dismounted, fabricapi.Maintenance, fabricapi.Redirected}
	return []kind{
		{name: "volume-faulted", share: 2, slot: volumeSlot, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			site, volume, err := s.anyVolume(ctx, r)
			if err != nil {
				return nil, err
			}
			fault, _ := choose(r, faults)
			return s.lever(ctx, r, fmt.Sprintf("%s of %s: %s", volume, site, fault), func(ctx context.Context, on bool) error {
				req := fabricapi.SetVolumeFaultRequest{Site: site, Volume: volume}
				if on {
					req.Fault = fault
				}
				return s.Admin.SetVolumeFault(ctx, req)
			})
		}},
		{name: "volume-full", share: 1, slot: volumeSlot, strike: func(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
			site, volume, err := s.anyVolume(ctx, r)
			if err != nil {
				return nil, err
			}
			return s.lever(ctx, r, volume+" of "+site, func(ctx context.Context, on bool) error {
				req := fabricapi.FillVolumeRequest{Site: site, Volume: volume, FreeBytes: -1}
				if on {
					req.FreeBytes = 1 << 20
				}
				return s.Admin.FillVolume(ctx, req)
			})
		}},
		{name: "image-withdrawn", share: 1, slot: imageSlot, strike: withdrawImage},
		{name: "image-removed-from-volume", share: 1, strike: removeImage},
	}
}

func (s *storm) anyVolume(ctx context.Context, r *rand.Rand) (site, volume string, err error) {
	world, err := s.World(ctx)
	if err != nil {
		return "", "", err
	}
	in, _ := choose(r, world.Sites)
	v, _ := choose(r, in.Volumes)
	return in.Name, v.Name, nil
}

// withdrawImage takes an image away from where hosts copy it from, for a while.
func withdrawImage(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
	version, _ := choose(r, []string{firstVersion, nextVersion})
	os, _ := choose(r, []capstanv1.OS{capstanv1.OSLinux, capstanv1.OSWindows})
	for _, image := range fabric.DefaultImages() {
		if image.OS == string(os) && image.KubernetesVersion == version && image.Fault == "" {
			return s.lever(ctx, r, image.Source, func(ctx context.Context, on bool) error {
				if on {
					return s.Admin.Withdraw(ctx, image.Source)
				}
				return s.Admin.Publish(ctx, image)
			})
		}
	}
	return nil, nil
}

// removeImage takes a copy of an image off a volume by hand. One that disks are made of
// stays: nobody could bring those back.
func removeImage(ctx context.Context, s *storm, r *rand.Rand) (*blow, error) {
	world, err := s.World(ctx)
	if err != nil {
		return nil, err
	}
	var copies []fabricapi.RemoveFileRequest
	for _, site := range world.Sites {
		parents := map[fabricapi.FileRef]bool{}
		for _, file := range site.Files {
			parents[fabricapi.FileRef{Volume: file.Volume, Path: file.Parent}] = true
		}
		for _, file := range site.Files {
			if file.Image != nil && !parents[file.FileRef] {
				copies = append(copies, fabricapi.RemoveFileRequest{Site: site.Name, FileRef: file.FileRef})
			}
		}
	}
	image, ok := choose(r, copies)
	if !ok {
		return nil, nil
	}
	whom := fmt.Sprintf("%s on %s of %s", image.Path[strings.LastIndex(image.Path, `\`)+1:], image.Volume, image.Site)
	return &blow{whom: whom}, s.Admin.RemoveFile(ctx, image)
}
