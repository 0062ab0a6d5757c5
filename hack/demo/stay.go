package main

import (
	"context"
	"errors"

	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// simulatedHints are what to try with simulated hosts, and realHints with real guests.
const (
	simulatedHints = `
It stays up until Ctrl-C. In another terminal:

  export KUBECONFIG=%s PATH=%s/bin:$PATH
  kubectl get capstan -A
  kubectl --kubeconfig %s get nodes

  kubectl scale nodepool %s --replicas=6
  kubectl apply -f %s
  %s

A Service of your own; for its pods, something answers on its node ports that tells which node it is:

  export KUBECONFIG=%[3]s
  curl %[7]s
  kubectl create service loadbalancer mine --tcp=8080
  kubectl get service mine --output=jsonpath='{.status.loadBalancer.ingress[0].ip}'
  curl http://that-address:8080
  kubectl delete service mine %[8]s
`
	realHints = `
It stays up until Ctrl-C. In another terminal:

  export KUBECONFIG=%s PATH=%s/bin:$PATH
  kubectl get capstan -A
  kubectl scale nodepool %[4]s --replicas=2
  kubectl patch workloadcluster shop --type=merge -p '{"spec":{"controlPlane":{"replicas":3},"loadBalancer":{"replicas":2}}}'

The cluster is a real one. There is no registry, so pods run what nodes have; the manifest of those that run says how:

  export KUBECONFIG=%[3]s
  kubectl get nodes,pods --all-namespaces --output=wide
  kubectl get daemonset web --output=yaml
  curl %[7]s
`
)

// stay leaves it all to the person at the terminal.
func (s *story) stay(ctx context.Context) error {
	hints := simulatedHints
	if s.Env.Machines != nil {
		hints = realHints
	}
	s.Screen.Plain(hints, s.Env.Kubeconfig(), s.Env.Dir, s.Kubeconfig(shop), poolName, labSample, patchVersion, narrator.URLOf(s.vip), narrator.ServiceName)
	s.result()
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	s.Screen.Plain("\nGone with all its processes. What is left is in %s.", s.Env.Dir)
	return nil
}
