package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// showTables prints objects as kubectl lists them, a table for each kind.
func (s *story) showTables(ctx context.Context, kinds ...string) error {
	s.screen.Plain("")
	for _, kind := range kinds {
		table, err := s.env.RunKubectl(ctx, "get", kind, "--all-namespaces")
		if err != nil {
			return err
		}
		s.screen.Text(table)
		s.screen.Plain("")
	}
	return nil
}

// kubeconfig is where the kubeconfig of a cluster lies for whoever wants it.
func (s *story) kubeconfig(cluster client.ObjectKey) string {
	return filepath.Join(s.env.Dir, cluster.Name+".kubeconfig")
}

// showNodes prints the nodes as a workload cluster itself tells them, through its
// VIP, and fails unless all that should be there are Ready.
func (s *story) showNodes(ctx context.Context, cluster client.ObjectKey) error {
	table, err := s.getNodes(ctx, cluster)
	if err != nil {
		return err
	}
	s.screen.Plain("\n         kubectl --kubeconfig %s get nodes", filepath.Base(s.kubeconfig(cluster)))
	s.screen.Text(table)
	return s.judgeNodes(ctx, cluster, table)
}

// checkNodes does so without printing them.
func (s *story) checkNodes(ctx context.Context, cluster client.ObjectKey) error {
	table, err := s.getNodes(ctx, cluster)
	if err != nil {
		return err
	}
	return s.judgeNodes(ctx, cluster, table)
}

func (s *story) getNodes(ctx context.Context, cluster client.ObjectKey) (string, error) {
	kubeconfig, err := s.readKubeconfig(ctx, cluster)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(s.kubeconfig(cluster), kubeconfig, 0o600); err != nil {
		return "", fmt.Errorf("writing the kubeconfig of cluster %s: %w", cluster.Name, err)
	}
	return s.env.RunKubectl(ctx, "--kubeconfig", s.kubeconfig(cluster), "get", "nodes")
}

func (s *story) judgeNodes(ctx context.Context, cluster client.ObjectKey, table string) error {
	p, err := look(ctx, s.api)
	if err != nil {
		return err
	}
	want, version := p.nodes(cluster)
	if ready, all := countNodes(table, version); ready != want || all != want {
		return fmt.Errorf("workload cluster %s has %d nodes, %d of them Ready at %s: %d are wanted\n%s", cluster.Name, all, ready, version, want, table)
	}
	return nil
}

// countNodes counts the lines of a table of nodes.
func countNodes(table, version string) (ready, all int) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] == "NAME" {
			continue
		}
		all++
		if fields[1] == "Ready" && fields[len(fields)-1] == version {
			ready++
		}
	}
	return ready, all
}

// showWhatIsMissing says of everything that is not Ready what it waits for.
func (s *story) showWhatIsMissing(ctx context.Context) {
	p, err := look(ctx, s.api)
	if err != nil {
		s.screen.Step(err.Error())
		return
	}
	if wanted, err := readSpecs(ctx, s.api); err == nil {
		s.screen.Plain("\nMissing: %s", p.lack(wanted))
	}
	for _, object := range p.ours() {
		if demoenv.ReadyOf(object).Status != metav1.ConditionTrue || object.GetDeletionTimestamp() != nil {
			s.screen.Text(describe(object) + deletion(object) + "\n")
			s.showConditions(object.GetConditions())
		}
	}
	for i := range p.machines {
		s.screen.Text("Machine " + p.machines[i].Name + deletion(&p.machines[i]) + "\n")
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
		s.screen.Text(fmt.Sprintf("  %s is %s since %s: %s: %s\n", c.Type, c.Status,
			c.LastTransitionTime.Format("15:04:05"), c.Reason, strings.Join(strings.Fields(c.Message), " ")))
	}
}
