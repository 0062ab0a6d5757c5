package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/types"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv/narrator"
)

// larger is what nodes get in place of the default.
var larger = resource.MustParse("5Gi")

// busyPatience is how long a request may take while a machine with few processors runs
// up to eight nodes. A person's kubectl would wait longer.
const busyPatience = 10 * time.Second

// roll replaces every node by one of another size: of Kubernetes there is one version.
func (s *story) roll() narrator.Chapter {
	return narrator.Chapter{Title: "every node is replaced by one with more memory", Tell: func(ctx context.Context) error {
		asking, err := s.Probe(ctx, shop, busyPatience)
		if err != nil {
			return err
		}
		err = s.rollAll(ctx)
		report := asking.Stop()
		if err != nil {
			return err
		}
		s.Screen.Step("the API server: " + report.String())
		if err := report.CheckNone(); err != nil {
			return fmt.Errorf("the cluster's API server must answer all along: %w", err)
		}
		return nil
	}}
}

func (s *story) rollAll(ctx context.Context) error {
	before, err := s.nodeUIDs(ctx)
	if err != nil {
		return err
	}
	if err := s.patch(ctx, "workloadcluster", shop.Name, fmt.Sprintf(`{"spec":{"controlPlane":{"size":{"memory":%q}}}}`, larger.String())); err != nil {
		return err
	}
	if err := s.patch(ctx, "nodepool", poolName, fmt.Sprintf(`{"spec":{"size":{"memory":%q}}}`, larger.String())); err != nil {
		return err
	}
	replaced := func(p narrator.Picture) bool {
		vms := p.VMs()
		return len(vms) > 0 && !slices.ContainsFunc(vms, func(vm capstanv1.VirtualMachine) bool {
			return vm.Spec.Role != capstanv1.RoleLoadBalancer && vm.Spec.Size.Memory.Cmp(larger) != 0
		})
	}
	if err := s.Follow(ctx, replaced); err != nil {
		return err
	}
	if err := s.settleAndVisit(ctx); err != nil {
		return err
	}
	after, err := s.nodeUIDs(ctx)
	if err != nil {
		return err
	}
	for uid, name := range after {
		if _, old := before[uid]; old {
			return fmt.Errorf("node %s was not replaced", name)
		}
	}
	return nil
}

// nodeUIDs are the nodes by what makes them who they are.
func (s *story) nodeUIDs(ctx context.Context) (map[types.UID]string, error) {
	nodes, err := s.Nodes(ctx, shop)
	if err != nil {
		return nil, err
	}
	uids := map[types.UID]string{}
	for i := range nodes {
		uids[nodes[i].UID] = nodes[i].Name
	}
	return uids, nil
}
