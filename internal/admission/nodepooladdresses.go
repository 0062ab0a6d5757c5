package admission

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

// demand is how many node addresses a pool needs at most.
type demand struct{ nodes, surge int64 }

func (d demand) total() int64 { return d.nodes + d.surge }

func demandOf(pool *capstanv1.NodePool) demand {
	nodes := int(pool.WantedReplicas())
	if pool.Spec.Autoscaling != nil {
		nodes = int(pool.Spec.Autoscaling.Max)
	}
	if nodes == 0 {
		return demand{}
	}
	surge := intstr.FromInt32(1)
	if pool.Spec.Rollout.MaxSurge != nil {
		surge = *pool.Spec.Rollout.MaxSurge
	}
	// A surge that is no number is the schema's to refuse.
	more, err := intstr.GetScaledValueFromIntOrPercent(&surge, nodes, true)
	if err != nil {
		more = 0
	}
	return demand{nodes: int64(nodes), surge: int64(more)}
}

// checkAddresses refuses a pool that could not have all its nodes even with the
// network to itself, and warns of one that cannot have them now. What asks for no
// more than before is a way out and not refused.
func checkAddresses(ctx context.Context, live client.Reader, old, pool *capstanv1.NodePool) (admission.Warnings, field.ErrorList, error) {
	need := demandOf(pool)
	if old != nil && need.total() <= demandOf(old).total() {
		return nil, nil, nil
	}
	network, err := networkOf(ctx, live, pool)
	if err != nil || network == nil {
		return nil, nil, err
	}
	if addresspool.From(&network.Spec, addresspool.Nodes) != nil {
		// Only its provider knows how many there are.
		return nil, nil, nil
	}
	addresses, err := addresspool.New(&network.Spec, addresspool.Nodes)
	if err != nil {
		// Said where the network is.
		return nil, nil, nil //nolint:nilerr // A network that makes no sense is not the pool's fault.
	}
	if total := addresses.Count(); need.total() > total {
		path, value, lower := field.NewPath("spec", "replicas"), int64(pool.WantedReplicas()), "replicas"
		if pool.Spec.Autoscaling != nil {
			path, value, lower = field.NewPath("spec", "autoscaling", "max"), int64(pool.Spec.Autoscaling.Max), "autoscaling.max"
		}
		return nil, field.ErrorList{field.Invalid(path, value, fmt.Sprintf(
			"LogicalNetwork %s has %d node addresses; %d nodes and %d of surge need %d: lower %s or add a nodeRange",
			network.Name, total, need.nodes, need.surge, need.total(), lower))}, nil
	}
	more := need.total() - int64(pool.Status.Replicas)
	if counts := network.Status.Nodes; counts != nil && more > counts.Free {
		return admission.Warnings{fmt.Sprintf(
			"only %d of the %d node addresses of LogicalNetwork %s are free now, and this pool may need %d more: nodes that get none wait with reason %s",
			counts.Free, counts.Total, network.Name, more, capstanv1.ReasonNetworkFull)}, nil, nil
	}
	return nil, nil, nil
}

// networkOf is the network of a pool's nodes, or nil while it is not known.
func networkOf(ctx context.Context, live client.Reader, pool *capstanv1.NodePool) (*capstanv1.LogicalNetwork, error) {
	cluster := &capstanv1.WorkloadCluster{}
	err := live.Get(ctx, client.ObjectKey{Namespace: pool.Namespace, Name: pool.Spec.ClusterName}, cluster)
	if err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading WorkloadCluster %s: %w", pool.Spec.ClusterName, err)
	}
	network := &capstanv1.LogicalNetwork{}
	if err := live.Get(ctx, client.ObjectKey{Name: cluster.Spec.LogicalNetwork}, network); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading LogicalNetwork %s: %w", cluster.Spec.LogicalNetwork, err)
	}
	return network, nil
}
