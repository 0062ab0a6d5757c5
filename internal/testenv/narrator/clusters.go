package narrator

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/testenv/probe"
)

// Kubeconfig is where the kubeconfig of a cluster lies for whoever wants it.
func (n *Narrator) Kubeconfig(cluster client.ObjectKey) string {
	return filepath.Join(n.Env.Dir, kubeconfigName(cluster))
}

func kubeconfigName(cluster client.ObjectKey) string { return cluster.Name + ".kubeconfig" }

// ReadKubeconfig returns the kubeconfig of a cluster.
func (n *Narrator) ReadKubeconfig(ctx context.Context, cluster client.ObjectKey) ([]byte, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: cluster.Name + "-kubeconfig"}
	if err := n.API.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("reading the kubeconfig of cluster %s: %w", cluster.Name, err)
	}
	return secret.Data["value"], nil
}

// Probe begins to ask a cluster's API server through its VIP, with what a user has:
// the kubeconfig in the cluster's Secret. Who asks waits so long for an answer.
func (n *Narrator) Probe(ctx context.Context, cluster client.ObjectKey, patience time.Duration) (*probe.Probe, error) {
	kubeconfig, err := n.ReadKubeconfig(ctx, cluster)
	if err != nil {
		return nil, err
	}
	asking, err := probe.Start(ctx, probe.Options{Kubeconfig: kubeconfig, Timeout: patience})
	if err != nil {
		return nil, err
	}
	n.Screen.Step(fmt.Sprintf("every %d ms from now on, kubectl get nodes through the VIP, on a new connection and on a kept one",
		probe.DefaultInterval/time.Millisecond))
	return asking, nil
}

// WorkloadClient reaches a cluster whose kubeconfig was written before.
func (n *Narrator) WorkloadClient(cluster client.ObjectKey) (client.Client, error) {
	config, err := clientcmd.BuildConfigFromFlags("", n.Kubeconfig(cluster))
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

// WorkloadCommand is what a person types to do something in a workload cluster.
func WorkloadCommand(cluster client.ObjectKey, command string) string {
	return "kubectl --kubeconfig " + kubeconfigName(cluster) + " " + command
}

// Nodes are those of a cluster whose kubeconfig was written before, as it tells them.
func (n *Narrator) Nodes(ctx context.Context, cluster client.ObjectKey) ([]corev1.Node, error) {
	api, err := n.WorkloadClient(cluster)
	if err != nil {
		return nil, err
	}
	nodes := &corev1.NodeList{}
	if err := api.List(ctx, nodes); err != nil {
		return nil, fmt.Errorf("listing the nodes of cluster %s: %w", cluster.Name, err)
	}
	return nodes.Items, nil
}
