package main

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// answersWithin is how long a workload cluster's API server is waited for.
const answersWithin = 3 * time.Second

// publish has a cluster have the Services that the user wants. Its API server may not be
// there yet, or not now: then that is done in the end.
func (s *storm) publish(ctx context.Context, w wish) error {
	if _, err := s.published(ctx, w); err != nil {
		s.screen.Step(fmt.Sprintf("           not yet: %s", err))
	}
	return context.Cause(ctx)
}

// published makes and removes Services in a cluster until it has those that the user
// wants, and returns the addresses at which they answer by their names, empty where a
// Service has none.
func (s *storm) published(ctx context.Context, w wish) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	services, err := s.servicesOf(ctx, w)
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for i := range int32(mostServices) {
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("web%d", i)},
			Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeLoadBalancer, Selector: map[string]string{"app": "web"},
				Ports: []corev1.ServicePort{{Port: 80}},
			},
		}
		if i >= w.services {
			if err := services.Delete(ctx, service.Name, metav1.DeleteOptions{}); client.IgnoreNotFound(err) != nil {
				return nil, fmt.Errorf("deleting Service %s of %s: %w", service.Name, w.key(), err)
			}
			continue
		}
		there, err := services.Create(ctx, service, metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			there, err = services.Get(ctx, service.Name, metav1.GetOptions{})
		}
		if err != nil {
			return nil, fmt.Errorf("making Service %s of %s: %w", service.Name, w.key(), err)
		}
		found[service.Name] = ""
		for _, ingress := range there.Status.LoadBalancer.Ingress {
			found[service.Name] = ingress.IP
		}
	}
	return found, nil
}

func (s *storm) servicesOf(ctx context.Context, w wish) (corev1client.ServiceInterface, error) {
	secret := &corev1.Secret{}
	if err := s.api.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: w.name + "-kubeconfig"}, secret); err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", w.key(), err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of %s: %w", w.key(), err)
	}
	kube, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("reaching %s: %w", w.key(), err)
	}
	return kube.CoreV1().Services(metav1.NamespaceDefault), nil
}

// unpublished tells which of the Services that the user wants have no address, or one
// that another has.
func (s *storm) unpublished(ctx context.Context) ([]finding, error) {
	var found []finding
	holders := map[string]string{}
	for _, w := range s.user.wishes {
		addresses, err := s.published(ctx, w)
		if err != nil {
			found = append(found, finding{stuck, fmt.Sprintf("the Services of %s: %s", w.key(), err)})
			continue
		}
		for name, address := range addresses {
			switch holder, taken := holders[address], address != ""; {
			case !taken:
				found = append(found, finding{stuck, fmt.Sprintf("Service %s of %s has no address", name, w.key())})
			case holder != "":
				found = append(found, finding{duplicate, fmt.Sprintf("address %s is held by Service %s of %s and by %s", address, name, w.key(), holder)})
			default:
				holders[address] = fmt.Sprintf("Service %s of %s", name, w.key())
			}
		}
	}
	return found, context.Cause(ctx)
}
