package main

import (
	"fmt"

	"github.com/capstan-k8s/capstan/internal/placement"
)

const (
	gib = int64(1) << 30
	// hostsPerCluster is how many hosts a failover cluster has.
	hostsPerCluster = 10
	// clustersPerDomain is how many failover clusters stand in one failure domain.
	clustersPerDomain = 10
	volumeBytes       = 10_000 * gib
)

// size is how much there is of everything.
type size struct {
	vms, hosts, volumes int
}

func (s size) clusters() int { return (s.hosts + hostsPerCluster - 1) / hostsPerCluster }

// fleet is what there is before any VM, all hosts and volumes equal.
func (s size) fleet() placement.Snapshot {
	var snap placement.Snapshot
	for i := range s.hosts {
		cluster := i / hostsPerCluster
		snap.Hosts = append(snap.Hosts, placement.Host{
			Name: fmt.Sprintf("hv%04d", i), FailoverCluster: fmt.Sprintf("fc%03d", cluster), FailureDomain: fmt.Sprintf("hall%d", cluster/clustersPerDomain),
			Processors: 64, MemoryMiB: 512 << 10, ReservedMiB: 8 << 10, Switches: []string{"lan"},
		})
	}
	for i := range s.volumes {
		snap.Volumes = append(snap.Volumes, placement.Volume{
			Name: fmt.Sprintf("csv%05d", i), FailoverCluster: fmt.Sprintf("fc%03d", i%s.clusters()), Bytes: volumeBytes, FreeBytes: volumeBytes,
		})
	}
	return snap
}

// machine is the nth VM: each ten are a workload cluster of three control-plane
// members, two load balancers and five workers, with disks from 20 to 120 GiB.
func machine(n int) placement.Request {
	req := placement.Request{
		VM: fmt.Sprintf("vm%05d", n), Processors: 4, MemoryMiB: 16 << 10, Switches: []string{"lan"},
		SpreadWeight: placement.DefaultSpreadWeight,
	}
	disk := int64(40 + 20*(n*7%5))
	switch at := n % 10; {
	case at < 3:
		req.Role, req.Group = placement.ControlPlane, fmt.Sprintf("%d control plane", n/10)
	case at < 5:
		req.Role, req.Group, disk = placement.LoadBalancer, fmt.Sprintf("%d load balancer", n/10), 20
		req.Processors, req.MemoryMiB = 2, 2<<10
	default:
		req.Role, req.Group = placement.Worker, fmt.Sprintf("%d pool", n/10)
	}
	req.Disks = []placement.Disk{{Name: "boot", Bytes: disk * gib, Image: &placement.Image{SHA256: "node", Bytes: 8 * gib, Stageable: true}}}
	return req
}
