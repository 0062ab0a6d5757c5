package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// ready tells whether everything is Ready, with so many workers.
func (p picture) ready(workers int32) bool {
	if len(p.clusters) != 1 || len(p.pools) != 1 {
		return false
	}
	for _, object := range []demoenv.Conditioned{&p.clusters[0], &p.pools[0]} {
		if demoenv.ReadyOf(object).Status != metav1.ConditionTrue {
			return false
		}
	}
	status := p.pools[0].Status
	return status.Replicas == workers && status.ReadyReplicas == workers
}

// showTables prints clusters, pools, and machines with their host and volumes.
func (s *story) showTables(ctx context.Context) error {
	s.screen.plain("")
	for _, kinds := range []string{"workloadclusters", "nodepools", "loadbalancers", "virtualmachines"} {
		table, err := s.env.RunKubectl(ctx, "get", kinds)
		if err != nil {
			return err
		}
		s.screen.text(table)
		s.screen.plain("")
	}
	return nil
}

func (s *story) workloadKubeconfig() string {
	return filepath.Join(s.env.Dir, clusterName+".kubeconfig")
}

func (s *story) writeWorkloadKubeconfig(ctx context.Context) error {
	api, err := s.env.Client()
	if err != nil {
		return err
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: namespace, Name: clusterName + "-kubeconfig"}
	if err := api.Get(ctx, key, secret); err != nil {
		return fmt.Errorf("reading the kubeconfig of cluster %s: %w", clusterName, err)
	}
	if err := os.WriteFile(s.workloadKubeconfig(), secret.Data["value"], 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig of cluster %s: %w", clusterName, err)
	}
	return nil
}

// showNodes prints the nodes as the workload cluster itself tells them, through
// its VIP, and fails unless all that should be there are Ready.
func (s *story) showNodes(ctx context.Context, want int) error {
	table, err := s.env.RunKubectl(ctx, "--kubeconfig", s.workloadKubeconfig(), "get", "nodes")
	if err != nil {
		return err
	}
	s.screen.plain("\n         kubectl --kubeconfig %s get nodes", filepath.Base(s.workloadKubeconfig()))
	s.screen.text(table)
	ready := 0
	for line := range strings.Lines(table) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[1] == "Ready" {
			ready++
		}
	}
	if ready != want {
		return fmt.Errorf("the workload cluster has %d Ready nodes: %d are wanted", ready, want)
	}
	return nil
}

// showWhatIsMissing says of everything that is not Ready what it waits for.
func (s *story) showWhatIsMissing(ctx context.Context) {
	p, err := s.watcher.look(ctx)
	if err != nil {
		s.screen.step(err.Error())
		return
	}
	s.screen.plain("\nNot Ready:")
	for _, object := range p.ours() {
		if demoenv.ReadyOf(object).Status != metav1.ConditionTrue || object.GetDeletionTimestamp() != nil {
			s.screen.text(describe(object) + deletion(object) + "\n")
			s.showConditions(object.GetConditions())
		}
	}
	for i := range p.machines {
		s.screen.text("Machine " + p.machines[i].Name + deletion(&p.machines[i]) + "\n")
		s.showConditions(p.machines[i].Status.Conditions)
	}
}

func deletion(object client.Object) string {
	if object.GetDeletionTimestamp() == nil {
		return ""
	}
	return fmt.Sprintf(" (being deleted, held by %s)", strings.Join(object.GetFinalizers(), ", "))
}

func (s *story) showConditions(conditions []metav1.Condition) {
	for _, c := range conditions {
		if c.Status == metav1.ConditionTrue {
			continue
		}
		s.screen.text(fmt.Sprintf("  %s is %s since %s: %s: %s\n", c.Type, c.Status,
			c.LastTransitionTime.Format("15:04:05"), c.Reason, strings.Join(strings.Fields(c.Message), " ")))
	}
}
