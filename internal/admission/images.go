package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
