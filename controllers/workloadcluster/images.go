package workloadcluster

import (
	"context"
	"fmt"

	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/apply"
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
		if now.LoadBalancerImage, err = r.loadBalancerImage(ctx, s, list.Items); err != nil {
			return now, fmt.Errorf("spec.loadBalancer.image: %w", err)
		}
	}
	return now, nil
}

// loadBalancerImage leaves the VMs of the load balancer with the image that they have, as
// long as it is there: it has no part in the version of Kubernetes, and to roll them
// moves the VIP, which ends the connections of those whom an upgrade should not disturb.
func (r *Reconciler) loadBalancerImage(ctx context.Context, s *scope, images []capstanv1.VMImage) (string, error) {
	present := &infrav1.HyperVCluster{}
	key := client.ObjectKeyFromObject(s.wlc)
	if err := r.Client.Get(ctx, key, present); client.IgnoreNotFound(err) != nil {
		return "", fmt.Errorf("reading HyperVCluster %s: %w", key, err)
	}
	if kept := present.Spec.LoadBalancer; kept != nil && apply.OwnedBy(present, s.wlc.UID) {
		for i := range images {
			if image := &images[i]; image.Name == kept.Image && image.Spec.OS == capstanv1.OSLinux && image.DeletionTimestamp.IsZero() {
				return kept.Image, nil
			}
		}
	}
	return vmimage.Find(images, capstanv1.OSLinux, s.version.effective, "")
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
