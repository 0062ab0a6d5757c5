package service

import (
	"context"
	"errors"
	"sync"

	"github.com/go-logr/logr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// maxStrangersTold is of how many Nodes that are left out the log tells. Whoever can make
// Nodes can make many.
const maxStrangersTold = 50

// seen is what a session knows of the machines of its cluster. It is safe for concurrent
// use; its zero value knows nothing.
type seen struct {
	// looking keeps an earlier look from being noted after a later one.
	looking sync.Mutex

	mu sync.Mutex
	// vms are nil until somebody has looked.
	vms machines
	// leaving are the nodes whose machines are being deleted, by name.
	leaving map[string]bool
	// told are the Nodes of which the log tells that they are left out.
	told map[string]bool
}

func (s *seen) note(vms machines, leaving map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.vms, s.leaving = vms, leaving
}

func (s *seen) get() (machines, map[string]bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.vms, s.leaving
}

// tell logs once of each Node that it is left out.
func (s *seen) tell(log logr.Logger, strangers []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range strangers {
		if s.told[name] || len(s.told) >= maxStrangersTold {
			continue
		}
		if s.told == nil {
			s.told = map[string]bool{}
		}
		s.told[name] = true
		log.Info("A Node takes no connections to Services: no VirtualMachine of the cluster has its providerID and its address", "Node", name)
	}
}

// taking are the nodes that take connections to Services.
func (s *session) taking() ([]capstanv1.LoadBalancerNode, error) {
	vms, leaving := s.seen.get()
	if vms == nil {
		// None of them must be taken out for that.
		return nil, errors.New("the VirtualMachines of the cluster are not known yet")
	}
	nodes, strangers, err := nodesOf(s.nodes, leaving, vms)
	if err == nil {
		s.seen.tell(s.log, strangers)
	}
	return nodes, err
}

// machinesChanged reads anew which machines there are, and which of them leave.
func (s *session) machinesChanged(ctx context.Context) {
	if err := s.look(ctx); err != nil {
		ctrllog.FromContext(ctx).Error(err, "Machines could not be listed")
		return
	}
	s.nodesChanged()
}

func (s *session) look(ctx context.Context) error {
	s.seen.looking.Lock()
	defer s.seen.looking.Unlock()
	vms, err := machinesOf(ctx, s.client, s.lb)
	if err != nil {
		return err
	}
	list := &clusterv1.MachineList{}
	if err := s.client.List(ctx, list, client.InNamespace(s.lb.Namespace), client.MatchingLabels{clusterv1.ClusterNameLabel: s.lb.Spec.ClusterName}); err != nil {
		return err
	}
	leaving := map[string]bool{}
	for i := range list.Items {
		if m := &list.Items[i]; !m.DeletionTimestamp.IsZero() && m.Status.NodeRef.Name != "" {
			leaving[m.Status.NodeRef.Name] = true
		}
	}
	s.seen.note(vms, leaving)
	return nil
}
