package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/vmimage"
)

func listImages(ctx context.Context, live client.Reader) ([]capstanv1.VMImage, error) {
	list := &capstanv1.VMImageList{}
	if err := live.List(ctx, list); err != nil {
		return nil, fmt.Errorf("listing VMImages: %w", err)
	}
	return list.Items, nil
}

// findImage resolves an image as the controllers do. If none fits, the error is
// about the field that the user would change: the image if one was named, else
// the version.
func findImage(images []capstanv1.VMImage, os capstanv1.OS, version, explicit string, imagePath, versionPath *field.Path) (*capstanv1.VMImage, *field.Error) {
	name, err := vmimage.Find(images, os, version, explicit)
	if err != nil {
		if explicit != "" {
			return nil, field.Invalid(imagePath, explicit, err.Error())
		}
		return nil, field.Invalid(versionPath, version, err.Error()+available(images, os))
	}
	i := slices.IndexFunc(images, func(image capstanv1.VMImage) bool { return image.Name == name })
	return &images[i], nil
}

func available(images []capstanv1.VMImage, os capstanv1.OS) string {
	versions := map[string]bool{}
	var list []string
	for i := range images {
		if v := images[i].Spec.KubernetesVersion; images[i].Spec.OS == os && !versions[v] {
			versions[v] = true
			list = append(list, v)
		}
	}
	if len(list) == 0 {
		return fmt.Sprintf(" (there is no %s image at all)", os)
	}
	slices.Sort(list)
	return fmt.Sprintf(" (there are %s images for %s)", os, strings.Join(list, ", "))
}

// warnUnstaged tells that an image has to be fetched before the first VM can boot
// it. Whether that will work, nobody knows before a host tries.
func warnUnstaged(image *capstanv1.VMImage) admission.Warnings {
	if len(image.Status.Staged) > 0 {
		return nil
	}
	return admission.Warnings{fmt.Sprintf("VMImage %s is staged on no volume yet: the first VM of each waits until it is fetched from %s", image.Name, image.Spec.Source)}
}
