package main

import (
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// The Service of the story, as the sample has it, with the port that http has.
const (
	serviceSample = samples + "/service.yaml"
	serviceName   = "web"
	servicePort   = 80
)

const lookEvery = 10 * time.Millisecond

// serve makes a Service of type LoadBalancer in the first cluster, and uses it.
func (s *story) serve() chapter {
	return chapter{s.workloadCommand(shop, "apply -f "+serviceSample), func(ctx context.Context, s *story) error {
		return s.within(ctx, func(ctx context.Context) error {
			vip, err := s.publish(ctx, shop)
			if err != nil {
				return err
			}
			s.vip = vip
			if err := s.showService(ctx, shop); err != nil {
				return err
			}
			return s.visit(ctx, shop, vip)
		})
	}}
}

// workloadCommand is what a person types to do something in a workload cluster.
func (s *story) workloadCommand(cluster client.ObjectKey, command string) string {
	return "kubectl --kubeconfig " + filepath.Base(s.kubeconfig(cluster)) + " " + command
}

// publish makes the Service in a cluster, whose kubeconfig was written before, and
// returns its virtual address as soon as everybody can see it.
func (s *story) publish(ctx context.Context, cluster client.ObjectKey) (netip.Addr, error) {
	if _, err := s.env.RunKubectl(ctx, "--kubeconfig", s.kubeconfig(cluster), "apply", "-f", serviceSample); err != nil {
		return netip.Addr{}, err
	}
	applied := time.Now()
	api, err := s.workloadClient(cluster)
	if err != nil {
		return netip.Addr{}, err
	}
	var vip netip.Addr
	err = wait.PollUntilContextCancel(ctx, lookEvery, true, func(ctx context.Context) (bool, error) {
		service := &corev1.Service{}
		if err := api.Get(ctx, client.ObjectKey{Namespace: corev1.NamespaceDefault, Name: serviceName}, service); err != nil {
			return false, fmt.Errorf("reading Service %s of cluster %s: %w", serviceName, cluster.Name, err)
		}
		if len(service.Status.LoadBalancer.Ingress) == 0 {
			return false, nil
		}
		vip, err = netip.ParseAddr(service.Status.LoadBalancer.Ingress[0].IP)
		return err == nil, err
	})
	if err != nil {
		return vip, fmt.Errorf("waiting for the virtual address of Service %s of cluster %s: %w", serviceName, cluster.Name, err)
	}
	s.screen.Step(fmt.Sprintf("Service %s has the address %s, %d ms after kubectl returned", serviceName, vip, time.Since(applied).Milliseconds()))
	return vip, nil
}

func (s *story) workloadClient(cluster client.ObjectKey) (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.kubeconfig(cluster))
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of cluster %s: %w", cluster.Name, err)
	}
	config.QPS = -1
	api, err := client.New(config, client.Options{Scheme: scheme.Scheme})
	if err != nil {
		return nil, fmt.Errorf("reaching cluster %s: %w", cluster.Name, err)
	}
	return api, nil
}

// showService prints the Service as a person would look at it.
func (s *story) showService(ctx context.Context, cluster client.ObjectKey) error {
	table, err := s.env.RunKubectl(ctx, "--kubeconfig", s.kubeconfig(cluster), "get", "service", serviceName)
	if err != nil {
		return err
	}
	s.screen.Plain("\n         %s", s.workloadCommand(cluster, "get service "+serviceName))
	s.screen.Text(table)
	s.screen.Plain("")
	return nil
}

// withdraw deletes the Service, and waits until its address is anybody's again.
func (s *story) withdraw() chapter {
	return chapter{s.workloadCommand(shop, "delete -f "+serviceSample), func(ctx context.Context, s *story) error {
		return s.within(ctx, func(ctx context.Context) error {
			if _, err := s.env.RunKubectl(ctx, "--kubeconfig", s.kubeconfig(shop), "delete", "-f", serviceSample); err != nil {
				return err
			}
			err := wait.PollUntilContextCancel(ctx, lookEvery, true, func(ctx context.Context) (bool, error) {
				return s.isFree(ctx, s.vip)
			})
			if err != nil {
				return fmt.Errorf("waiting until %s is free again: %w", s.vip, err)
			}
			s.screen.Step(fmt.Sprintf("%s is free: nobody listens on it, and nothing reserves it", s.vip))
			return nil
		})
	}}
}

// isFree tells whether a virtual address is nobody's: in the network, and in the
// management cluster.
func (s *story) isFree(ctx context.Context, vip netip.Addr) (bool, error) {
	programs, err := listenersOn(vip)
	if err != nil || len(programs) > 0 {
		return false, err
	}
	reservations := &capstanv1.AddressReservationList{}
	if err := s.api.List(ctx, reservations); err != nil {
		return false, fmt.Errorf("listing the reserved addresses: %w", err)
	}
	for i := range reservations.Items {
		if reservations.Items[i].Spec.Address == vip.String() {
			return false, nil
		}
	}
	return true, nil
}
