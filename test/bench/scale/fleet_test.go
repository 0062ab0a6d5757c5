package main

import (
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// maxVRID is how many load balancers a network can have.
const maxVRID = 255

func TestEveryClusterHasAPoolAndANetworkWithRoom(t *testing.T) {
	for _, clusters := range []int{1, 10, 100, 101, 300, 1000} {
		g := NewWithT(t)
		provided, err := site(clusters, 7)
		g.Expect(err).NotTo(HaveOccurred())
		networks := map[string]netip.Prefix{}
		namespaces := map[string]bool{}
		for _, object := range provided {
			if network, ok := object.(*capstanv1.LogicalNetwork); ok {
				networks[network.Name] = netip.MustParsePrefix(network.Spec.Subnets[0].CIDR)
			} else {
				namespaces[object.GetName()] = true
			}
		}
		taken := map[netip.Prefix]bool{}
		for _, prefix := range networks {
			g.Expect(taken[prefix]).To(BeFalse())
			g.Expect(prefix.Addr().IsLoopback()).To(BeTrue(), "%s can be dialled on this machine", prefix)
			taken[prefix] = true
		}

		uses, pools, names := map[string]int{}, map[string]int{}, map[string]bool{}
		for _, object := range fleet(clusters, 7) {
			g.Expect(namespaces).To(HaveKey(object.GetNamespace()))
			switch o := object.(type) {
			case *capstanv1.WorkloadCluster:
				g.Expect(networks).To(HaveKey(o.Spec.LogicalNetwork))
				uses[o.Spec.LogicalNetwork]++
				names[o.Namespace+"/"+o.Name] = true
			case *capstanv1.NodePool:
				pools[o.Namespace+"/"+o.Spec.ClusterName]++
			}
		}
		g.Expect(names).To(HaveLen(clusters))
		for name := range names {
			g.Expect(pools[name]).To(Equal(1))
		}
		for _, n := range uses {
			g.Expect(n).To(BeNumerically("<=", maxVRID))
		}
	}
}

func TestThereIsRoomForAllDisks(t *testing.T) {
	g := NewWithT(t)
	const perClusterGiB = 3 * 40
	for _, clusters := range []int{1, 100, 300, 1000} {
		shared := topology(3, clusters).FailoverClusters[0]
		room := int64(0)
		names := map[string]bool{}
		for _, volume := range shared.Volumes {
			room += volume.SizeGiB
			names[volume.Name] = true
		}
		g.Expect(names).To(HaveLen(len(shared.Volumes)))
		g.Expect(room).To(BeNumerically(">", int64(clusters)*perClusterGiB))
	}
}
