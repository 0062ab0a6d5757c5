package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/utils/ptr"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// system is a workload cluster with all that it takes to have one: API server,
// manager, simulated hosts, and real HAProxies in two load-balancer VMs.
type system struct {
	env *demoenv.Env
	// api is that of the management cluster, workload that of the workload cluster,
	// through its VIP.
	api, workload client.WithWatch
}

const (
	clusterName = "lb"
	lookEvery   = 50 * time.Millisecond
)

// bringUp starts a system and waits until all of it is Ready.
func bringUp(ctx context.Context, env *demoenv.Env) (*system, error) {
	if err := env.Start(ctx); err != nil {
		return nil, err
	}
	s := &system{env: env}
	kinds, err := demoenv.NewScheme()
	if err != nil {
		return nil, err
	}
	if err := ipamv1.AddToScheme(kinds); err != nil {
		return nil, fmt.Errorf("building the scheme: %w", err)
	}
	if s.api, err = client.NewWithWatch(env.Config, client.Options{Scheme: kinds}); err != nil {
		return nil, fmt.Errorf("reaching the management API server: %w", err)
	}
	samples := filepath.Join(env.Source, "config", "samples")
	if _, err := env.RunKubectl(ctx, "apply", "-f", filepath.Join(samples, "network.yaml"), "-f", filepath.Join(samples, "image.yaml")); err != nil {
		return nil, err
	}
	cluster := &capstanv1.WorkloadCluster{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: clusterName}}
	cluster.Spec.Version, cluster.Spec.LogicalNetwork = "v1.36.3", "lan"
	cluster.Spec.ControlPlane.Replicas = ptr.To(int32(1))
	pool := &capstanv1.NodePool{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: clusterName + "-linux"}}
	pool.Spec.ClusterName, pool.Spec.Replicas = clusterName, ptr.To(int32(3))
	for _, object := range []client.Object{cluster, pool} {
		if err := s.api.Create(ctx, object); err != nil {
			return nil, fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	for _, object := range []demoenv.Conditioned{cluster, pool, &capstanv1.LoadBalancer{ObjectMeta: cluster.ObjectMeta}} {
		if err := s.awaitReady(ctx, object); err != nil {
			return nil, err
		}
	}
	return s, s.reachWorkload(ctx)
}

func (s *system) awaitReady(ctx context.Context, object demoenv.Conditioned) error {
	key := client.ObjectKeyFromObject(object)
	var ready metav1.Condition
	err := wait.PollUntilContextCancel(ctx, lookEvery, true, func(ctx context.Context) (bool, error) {
		if err := s.api.Get(ctx, key, object); client.IgnoreNotFound(err) != nil {
			return false, err
		}
		ready = demoenv.ReadyOf(object)
		return ready.Status == metav1.ConditionTrue, nil
	})
	if err != nil {
		return fmt.Errorf("waiting for %T %s, which is %s: %s: %w", object, key.Name, ready.Reason, ready.Message, err)
	}
	return nil
}

func (s *system) reachWorkload(ctx context.Context) error {
	secret := &corev1.Secret{}
	if err := s.api.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: clusterName + "-kubeconfig"}, secret); err != nil {
		return fmt.Errorf("reading the kubeconfig of the workload cluster: %w", err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(secret.Data["value"])
	if err != nil {
		return fmt.Errorf("reading the kubeconfig of the workload cluster: %w", err)
	}
	config.QPS = -1
	if s.workload, err = client.NewWithWatch(config, client.Options{Scheme: scheme.Scheme}); err != nil {
		return fmt.Errorf("reaching the workload cluster: %w", err)
	}
	return nil
}

// memory is what the largest process of a name has in memory, in KiB.
func memoryOf(name string) (most int, err error) {
	files, err := filepath.Glob("/proc/[0-9]*/status")
	if err != nil {
		return 0, err
	}
	for _, file := range files {
		status, err := os.ReadFile(file)
		if err != nil {
			// It has ended meanwhile.
			continue
		}
		var is string
		if _, err := fmt.Sscanf(string(status), "Name:\t%s", &is); err != nil || is != name {
			continue
		}
		kib, err := residentIn(string(status))
		if err != nil {
			return 0, fmt.Errorf("memory of %s: %w", name, err)
		}
		most = max(most, kib)
	}
	return most, nil
}
