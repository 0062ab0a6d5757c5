package main

import (
	"context"
	"fmt"
	"net"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

const (
	kubernetesVersion = "v1.36.3"
	// clustersPerNetwork stays below the 255 virtual router IDs that a network has.
	clustersPerNetwork = 100
	// firstNetwork is the second byte of the first network's addresses; the demo has
	// those below.
	firstNetwork = 80
	// clustersPerVolume keeps what disks may grow to within a volume of 4 TiB.
	clustersPerVolume = 25
)

// nodesPerCluster is a control plane and a worker.
const nodesPerCluster = 2

func networkCount(clusters int) int { return (clusters + clustersPerNetwork - 1) / clustersPerNetwork }

// topology is one failover cluster with room for all.
func topology(hosts, clusters int) fabric.Topology {
	t := fabric.DefaultTopology(hosts, false)
	shared := &t.FailoverClusters[0]
	for i := len(shared.Volumes); i < (clusters+clustersPerVolume-1)/clustersPerVolume; i++ {
		volume := shared.Volumes[0]
		volume.Name = fmt.Sprintf("csv%d", i+1)
		shared.Volumes = append(shared.Volumes, volume)
	}
	return t
}

func networkName(i int) string { return fmt.Sprintf("lan%d", i+1) }

// gateway is an address that no guest has.
func gateway(i int) string { return fmt.Sprintf("127.%d.0.1", firstNetwork+i) }

// claimNetworks keeps a second measurement off the addresses of this one: its
// guests would answer in place of ours.
func claimNetworks(ctx context.Context, clusters int) (release func(), err error) {
	var held []net.Listener
	release = func() {
		for _, listener := range held {
			_ = listener.Close()
		}
	}
	for i := range networkCount(clusters) {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(gateway(i), "6443"))
		if err != nil {
			release()
			return nil, fmt.Errorf("taking the addresses of network %s, which another measurement may be using: %w", networkName(i), err)
		}
		held = append(held, listener)
	}
	return release, nil
}

// site returns what an administrator provides before there are clusters.
func site(clusters, namespaces int) ([]client.Object, error) {
	image, err := demoenv.NodeImage(capstanv1.OSLinux, kubernetesVersion)
	if err != nil {
		return nil, err
	}
	objects := []client.Object{image}
	for i := range networkCount(clusters) {
		objects = append(objects, demoenv.Network(networkName(i), fmt.Sprintf("127.%d.", firstNetwork+i)))
	}
	for i := range namespaces {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespaceName(i)}})
	}
	return objects, nil
}

func namespaceName(i int) string { return fmt.Sprintf("team-%d", i+1) }

// fleet returns the manifests of all clusters, two objects each.
func fleet(clusters, namespaces int) []client.Object {
	var objects []client.Object
	for i := range clusters {
		name := fmt.Sprintf("c%03d", i+1)
		namespace := namespaceName(i % namespaces)
		objects = append(objects,
			&capstanv1.WorkloadCluster{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
				Spec: capstanv1.WorkloadClusterSpec{
					Version: kubernetesVersion, LogicalNetwork: networkName(i % networkCount(clusters)),
					ControlPlane: capstanv1.ControlPlaneSpec{Replicas: ptr.To[int32](1)},
					LoadBalancer: capstanv1.LoadBalancerSettings{Replicas: ptr.To[int32](1)},
				},
			},
			&capstanv1.NodePool{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-linux"},
				Spec:       capstanv1.NodePoolSpec{ClusterName: name, Replicas: ptr.To[int32](1)},
			})
	}
	return objects
}
