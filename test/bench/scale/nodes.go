package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// answerTimeout is how long a workload cluster may take to answer once it is
// said to be Ready.
const answerTimeout = 10 * time.Second

// readyNodes asks a workload cluster's own API server how many nodes are Ready,
// through the load balancer, with the kubeconfig that its user gets.
func readyNodes(ctx context.Context, management client.Reader, cluster *capstanv1.WorkloadCluster) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: cluster.Status.KubeconfigSecret}
	if err := management.Get(ctx, key, secret); err != nil {
		return 0, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
	if err != nil {
		return 0, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	endpoint := cluster.Status.Endpoint
	if endpoint == nil {
		return 0, errors.New("it is Ready without an endpoint")
	}
	if vip := "https://" + net.JoinHostPort(endpoint.Host, strconv.Itoa(int(endpoint.Port))); config.Host != vip {
		return 0, fmt.Errorf("the kubeconfig names %s, the endpoint is %s", config.Host, vip)
	}
	connection, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, fmt.Errorf("using the kubeconfig: %w", err)
	}
	defer utilnet.CloseIdleConnectionsFor(connection.Transport)
	api, err := kubernetes.NewForConfigAndClient(config, connection)
	if err != nil {
		return 0, fmt.Errorf("using the kubeconfig: %w", err)
	}
	nodes, err := api.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0, fmt.Errorf("listing the nodes: %w", err)
	}
	ready := 0
	for i := range nodes.Items {
		for _, condition := range nodes.Items[i].Status.Conditions {
			if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
				ready++
			}
		}
	}
	return ready, nil
}
