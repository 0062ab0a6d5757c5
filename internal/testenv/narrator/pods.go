package narrator

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// RunPods runs the pods of a manifest in a cluster whose kubeconfig was written before,
// and waits until all are ready.
func (n *Narrator) RunPods(ctx context.Context, cluster client.ObjectKey, manifest string) error {
	if _, err := n.Env.RunKubectl(ctx, "--kubeconfig", n.Kubeconfig(cluster), "apply", "-f", manifest); err != nil {
		return err
	}
	if err := n.AwaitPods(ctx, cluster, manifest); err != nil {
		return err
	}
	table, err := n.Env.RunKubectl(ctx, "--kubeconfig", n.Kubeconfig(cluster), "get", "pods", "--all-namespaces", "--output=wide")
	if err != nil {
		return err
	}
	n.Screen.Step(fmt.Sprintf("the pods of %s are ready", manifest))
	n.Screen.Plain("\n         %s", WorkloadCommand(cluster, "get pods --all-namespaces --output=wide"))
	n.Screen.Text(table)
	n.Screen.Plain("")
	return nil
}

// AwaitPods waits until all pods of a manifest are ready, on all nodes there are.
func (n *Narrator) AwaitPods(ctx context.Context, cluster client.ObjectKey, manifest string) error {
	_, err := n.Env.RunKubectl(ctx, "--kubeconfig", n.Kubeconfig(cluster), "rollout", "status", "-f", manifest)
	return err
}
