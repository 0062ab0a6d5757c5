package narrator

import (
	"context"
	"fmt"
	"os"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// ShowTables prints objects as kubectl lists them, a table for each kind.
func (n *Narrator) ShowTables(ctx context.Context, kinds ...string) error {
	n.Screen.Plain("")
	for _, kind := range kinds {
		table, err := n.Env.RunKubectl(ctx, "get", kind, "--all-namespaces")
		if err != nil {
			return err
		}
		n.Screen.Text(table)
		n.Screen.Plain("")
	}
	return nil
}

// ShowNodes prints the nodes as a workload cluster itself tells them, through its
// VIP, and fails unless all that should be there are Ready.
func (n *Narrator) ShowNodes(ctx context.Context, cluster client.ObjectKey) error {
	table, err := n.getNodes(ctx, cluster)
	if err != nil {
		return err
	}
	n.Screen.Plain("\n         %s", WorkloadCommand(cluster, "get nodes --output=wide"))
	n.Screen.Text(table)
	return n.judgeNodes(ctx, cluster, table)
}

// CheckNodes does so without printing them.
func (n *Narrator) CheckNodes(ctx context.Context, cluster client.ObjectKey) error {
	table, err := n.getNodes(ctx, cluster)
	if err != nil {
		return err
	}
	return n.judgeNodes(ctx, cluster, table)
}

func (n *Narrator) getNodes(ctx context.Context, cluster client.ObjectKey) (string, error) {
	kubeconfig, err := n.ReadKubeconfig(ctx, cluster)
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(n.Kubeconfig(cluster), kubeconfig, 0o600); err != nil {
		return "", fmt.Errorf("writing the kubeconfig of cluster %s: %w", cluster.Name, err)
	}
	return n.Env.RunKubectl(ctx, "--kubeconfig", n.Kubeconfig(cluster), "get", "nodes", "--output=wide")
}

func (n *Narrator) judgeNodes(ctx context.Context, cluster client.ObjectKey, table string) error {
	p, err := look(ctx, n.API)
	if err != nil {
		return err
	}
	want, version := p.nodes(cluster)
	if ready, all := countNodes(table, version); ready != want || all != want {
		return fmt.Errorf("workload cluster %s has %d nodes, %d of them Ready at %s: %d are wanted\n%s", cluster.Name, all, ready, version, want, table)
	}
	return nil
}

// versionColumn is where a table of nodes has the version.
const versionColumn = 4

// countNodes counts the lines of a table of nodes.
func countNodes(table, version string) (ready, all int) {
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) <= versionColumn || fields[0] == "NAME" {
			continue
		}
		all++
		if fields[1] == "Ready" && fields[versionColumn] == version {
			ready++
		}
	}
	return ready, all
}

// showWhatIsMissing says of everything that is not Ready what it waits for.
func (n *Narrator) showWhatIsMissing(ctx context.Context) {
	p, err := look(ctx, n.API)
	if err != nil {
		n.Screen.Step(err.Error())
		return
	}
	if wanted, err := readSpecs(ctx, n.API); err == nil {
		n.Screen.Plain("\nMissing: %s", p.lack(wanted))
	}
	for _, object := range p.ours() {
		if demoenv.ReadyOf(object).Status != metav1.ConditionTrue || object.GetDeletionTimestamp() != nil {
			n.Screen.Text(describe(object) + deletion(object) + "\n")
			n.showConditions(object.GetConditions())
		}
	}
	for i := range p.machines {
		n.Screen.Text("Machine " + p.machines[i].Name + deletion(&p.machines[i]) + "\n")
		n.showConditions(p.machines[i].Status.Conditions)
	}
}

func deletion(object client.Object) string {
	if object.GetDeletionTimestamp() == nil {
		return ""
	}
	return fmt.Sprintf(" (being deleted, held by %s)", strings.Join(object.GetFinalizers(), ", "))
}

func (n *Narrator) showConditions(conditions []metav1.Condition) {
	for _, c := range conditions {
		if c.Status == metav1.ConditionTrue {
			continue
		}
		n.Screen.Text(fmt.Sprintf("  %s is %s since %s: %s: %s\n", c.Type, c.Status,
			c.LastTransitionTime.Format("15:04:05"), c.Reason, strings.Join(strings.Fields(c.Message), " ")))
	}
}
