package logs_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/gomega"
	"google.golang.org/grpc/codes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/hostapi"
	"github.com/capstan-k8s/capstan/internal/logs"
)

// recorded returns a context that logs to a slice, up to a level.
func recorded(t *testing.T, verbosity int) (context.Context, *[]map[string]any) {
	t.Helper()
	var lines []map[string]any
	log := funcr.NewJSON(func(text string) {
		line := map[string]any{}
		NewWithT(t).Expect(json.Unmarshal([]byte(text), &line)).To(Succeed())
		lines = append(lines, line)
	}, funcr.Options{Verbosity: verbosity})
	return ctrllog.IntoContext(t.Context(), log), &lines
}

func ref(namespace, name string) map[string]any {
	return map[string]any{"namespace": namespace, "name": name}
}

func machine(owners ...metav1.OwnerReference) *capstanv1.VirtualMachine {
	return &capstanv1.VirtualMachine{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "vm", UID: types.UID("uid"), OwnerReferences: owners}}
}

func TestEveryLineNamesTheVMItsClusterAndItsOwners(t *testing.T) {
	g := NewWithT(t)
	ctx, lines := recorded(t, 0)
	owned := machine(metav1.OwnerReference{Kind: "HyperVMachine", Name: "m"}, metav1.OwnerReference{Kind: "Other", Name: "o"})
	ctrllog.FromContext(logs.ForVM(ctx, owned, "id", "shop")).Info("told")
	g.Expect(*lines).To(ConsistOf(SatisfyAll(
		HaveKeyWithValue("vmID", "id"), HaveKeyWithValue("Cluster", ref("team", "shop")),
		HaveKeyWithValue("HyperVMachine", ref("team", "m")), HaveKeyWithValue("Other", ref("team", "o")),
	)))
}

func TestWhatIsNotKnownIsNotNamed(t *testing.T) {
	g := NewWithT(t)
	ctx, lines := recorded(t, 0)
	ctrllog.FromContext(logs.ForCluster(ctx, machine(), "")).Info("told")
	g.Expect(*lines).To(HaveLen(1))
	g.Expect((*lines)[0]).NotTo(Or(HaveKey("vmID"), HaveKey("Cluster")))
}

func TestACallOfAHostIsLoggedForThoseWhoLookClosely(t *testing.T) {
	g := NewWithT(t)
	for verbosity, want := range []int{0, 1} {
		ctx, lines := recorded(t, verbosity)
		ctx = logs.ForVM(ctx, machine(), "id", "shop")
		logs.HostCalls{}.CallBegins(ctx, "hv1", "GetVM")(codes.NotFound, hostapi.Errorf(hostapi.NotFound, "GetVM", "", "no such VM"))
		g.Expect(*lines).To(HaveLen(want))
		if want == 1 {
			g.Expect((*lines)[0]).To(SatisfyAll(
				HaveKeyWithValue("vmID", "id"), HaveKeyWithValue("host", "hv1"), HaveKeyWithValue("method", "GetVM"),
				HaveKeyWithValue("code", "NotFound"), HaveKeyWithValue("class", "NotFound"), HaveKeyWithValue("error", "GetVM: no such VM"),
				HaveKey("duration"),
			))
		}
	}
}
