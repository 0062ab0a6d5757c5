package vmimage

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func image(name, version string, age time.Duration, with ...func(*capstanv1.VMImage)) capstanv1.VMImage {
	i := capstanv1.VMImage{
		ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(-age))},
		Spec:       capstanv1.VMImageSpec{OS: capstanv1.OSLinux, KubernetesVersion: version},
	}
	for _, modify := range with {
		modify(&i)
	}
	return i
}

func windows(i *capstanv1.VMImage) { i.Spec.OS = capstanv1.OSWindows }

func beingDeleted(i *capstanv1.VMImage) { i.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)} }

func TestFind(t *testing.T) {
	images := []capstanv1.VMImage{
		image("newer", "v1.36.3", 0),
		image("b-oldest", "v1.36.3", time.Hour),
		image("a-oldest", "v1.36.3", time.Hour),
		image("going", "v1.36.3", 2*time.Hour, beingDeleted),
		image("win", "v1.36.3", 3*time.Hour, windows),
		image("other", "v1.35.0", 0),
	}
	for name, tc := range map[string]struct {
		os                capstanv1.OS
		version, explicit string
		want, wantErr     string
	}{
		"the oldest that fits, so that adding one changes nothing": {os: capstanv1.OSLinux, version: "v1.36.3", want: "a-oldest"},
		"of the OS that is asked for":                              {os: capstanv1.OSWindows, version: "v1.36.3", want: "win"},
		"the one that is named, though another is older":           {os: capstanv1.OSLinux, version: "v1.36.3", explicit: "newer", want: "newer"},
		"none of the version": {
			os: capstanv1.OSLinux, version: "v1.34.0",
			wantErr: "no VMImage has os Linux and kubernetesVersion v1.34.0: add one",
		},
		"the one that is named does not exist": {
			os: capstanv1.OSLinux, version: "v1.36.3", explicit: "gone",
			wantErr: "VMImage gone does not exist: add it, with os Linux and kubernetesVersion v1.36.3, or name another",
		},
		"the one that is named has another version": {
			os: capstanv1.OSLinux, version: "v1.36.3", explicit: "other",
			wantErr: "VMImage other has os Linux and kubernetesVersion v1.35.0, but os Linux and kubernetesVersion v1.36.3 are needed: name another image",
		},
		"the one that is named has another OS": {
			os: capstanv1.OSLinux, version: "v1.36.3", explicit: "win",
			wantErr: "VMImage win has os Windows and kubernetesVersion v1.36.3, but os Linux and kubernetesVersion v1.36.3 are needed: name another image",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got, err := Find(images, tc.os, tc.version, tc.explicit)
			if tc.wantErr != "" {
				g.Expect(err).To(MatchError(tc.wantErr))
				g.Expect(err).To(BeAssignableToTypeOf(&NotFoundError{}))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(got).To(Equal(tc.want))
		})
	}
}
