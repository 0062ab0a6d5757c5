// Package vmimage chooses the VMImage for an operating system and a Kubernetes
// version. It is pure.
package vmimage

import (
	"fmt"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// NotFoundError says that no VMImage fits.
type NotFoundError struct {
	// Name is the image that was asked for, if one was.
	Name    string
	OS      capstanv1.OS
	Version string
	// Found describes the image of that name, which does not fit.
	Found string
}

// Error implements error.
func (e *NotFoundError) Error() string {
	switch {
	case e.Name == "":
		return fmt.Sprintf("no VMImage has os %s and kubernetesVersion %s: add one", e.OS, e.Version)
	case e.Found == "":
		return fmt.Sprintf("VMImage %s does not exist: add it, with os %s and kubernetesVersion %s, or name another", e.Name, e.OS, e.Version)
	default:
		return fmt.Sprintf("VMImage %s has %s, but os %s and kubernetesVersion %s are needed: name another image", e.Name, e.Found, e.OS, e.Version)
	}
}

// Find returns the name of the image to boot for os and version. An explicit
// name must fit. Otherwise the oldest image that fits is taken, by name where
// they are equally old, so that adding an image changes nothing that runs.
func Find(images []capstanv1.VMImage, os capstanv1.OS, version, explicit string) (string, error) {
	var best *capstanv1.VMImage
	for i := range images {
		image := &images[i]
		fits := image.Spec.OS == os && image.Spec.KubernetesVersion == version
		if explicit != "" {
			if image.Name != explicit {
				continue
			}
			if !fits {
				return "", &NotFoundError{Name: explicit, OS: os, Version: version,
					Found: fmt.Sprintf("os %s and kubernetesVersion %s", image.Spec.OS, image.Spec.KubernetesVersion)}
			}
			return explicit, nil
		}
		if fits && image.DeletionTimestamp.IsZero() && (best == nil || older(image, best)) {
			best = image
		}
	}
	if best == nil {
		return "", &NotFoundError{Name: explicit, OS: os, Version: version}
	}
	return best.Name, nil
}

func older(a, b *capstanv1.VMImage) bool {
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.Name < b.Name
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}
