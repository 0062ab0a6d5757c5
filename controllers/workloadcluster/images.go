package workloadcluster

import (
	"context"
	"fmt"

	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/translate"
	"github.com/capstan-k8s/capstan/internal/vmimage"
)

// resolveImages chooses the images for the version in effect.
func (r *Reconciler) resolveImages(ctx context.Context, s *scope) (translate.InEffect, error) {
	now := translate.InEffect{Version: s.version.effective, LoadBalancerImage: s.wlc.Spec.LoadBalancer.Image}
	list := &capstanv1.VMImageList{}
	if err := r.Client.List(ctx, list); err != nil {
		return now, fmt.Errorf("listing VMImages: %w", err)
	}
	var err error
	if now.ControlPlaneImage, err = r.controlPlaneImage(ctx, s, list.Items); err != nil {
		return now, fmt.Errorf("spec.controlPlane.image: %w", err)
	}
	if now.LoadBalancerImage == "" {
		if now.LoadBalancerImage, err = vmimage.Find(list.Items, capstanv1.OSLinux, now.Version, ""); err != nil {
			return now, fmt.Errorf("spec.loadBalancer.image: %w", err)
		}
	}
	return now, nil
}

// controlPlaneImage leaves the machines with theirs where the spec names one for a
// version that is queued.
func (r *Reconciler) controlPlaneImage(ctx context.Context, s *scope, images []capstanv1.VMImage) (string, error) {
	named := s.wlc.Spec.ControlPlane.Image
	image, err := vmimage.Find(images, capstanv1.OSLinux, s.version.effective, named)
	if err == nil || s.version.queued == "" {
		return image, err
	}
	if _, later := vmimage.Find(images, capstanv1.OSLinux, s.wlc.Spec.Version, named); later != nil {
		return "", err
	}
	key := client.ObjectKey{Namespace: s.wlc.Namespace, Name: translate.ControlPlaneName(s.wlc.Name)}
	present := &controlplanev1.KubeadmControlPlane{}
	if err := r.Live.Get(ctx, key, present); err != nil {
		return "", fmt.Errorf("reading KubeadmControlPlane %s: %w", key.Name, err)
	}
	key.Name = present.Spec.MachineTemplate.Spec.InfrastructureRef.Name
	template := &infrav1.HyperVMachineTemplate{}
	if err := r.Client.Get(ctx, key, template); err != nil {
		return "", fmt.Errorf("reading HyperVMachineTemplate %s: %w", key.Name, err)
	}
	return template.Spec.Template.Spec.Image, nil
}
