package metrics

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func networkWith(name string, nodes, vips *capstanv1.AddressCounts) *capstanv1.LogicalNetwork {
	return &capstanv1.LogicalNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Status: capstanv1.LogicalNetworkStatus{Nodes: nodes, VIPs: vips},
	}
}

func TestAddressesAreToldOfByWhatTheyAreFor(t *testing.T) {
	b := newBench(t)
	b.follow(t, true,
		networkWith("lan", &capstanv1.AddressCounts{Total: 9, Used: 4, Reserved: 2, Free: 3}, &capstanv1.AddressCounts{Total: 1, Used: 1}),
		networkWith("foreign", nil, &capstanv1.AddressCounts{Total: 5, Free: 5}), networkWith("new", nil, nil))
	b.Expect(b.values("capstan_network_addresses")).To(Equal(map[string]float64{
		"lan free nodes": 3, "lan used nodes": 4, "lan reserved nodes": 2,
		"lan free vips": 0, "lan used vips": 1, "lan reserved vips": 0,
		"foreign free vips": 5, "foreign used vips": 0, "foreign reserved vips": 0,
	}))
}
