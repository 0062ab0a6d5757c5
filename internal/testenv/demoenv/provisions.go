package demoenv

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric"
)

// NodeImage is the simulated image of nodes of an operating system and a version of
// Kubernetes.
func NodeImage(os capstanv1.OS, version string) (*capstanv1.VMImage, error) {
	for _, image := range fabric.DefaultImages() {
		if image.OS == string(os) && image.KubernetesVersion == version {
			return &capstanv1.VMImage{
				ObjectMeta: metav1.ObjectMeta{Name: strings.ToLower(string(os)) + "-" + version},
				Spec: capstanv1.VMImageSpec{
					OS: os, KubernetesVersion: version,
					Source: image.Source, SHA256: image.SHA256, Size: *resource.NewQuantity(image.VirtualBytes, resource.BinarySI),
				},
			}, nil
		}
	}
	return nil, fmt.Errorf("the fabric publishes no %s image of Kubernetes %s", os, version)
}

// Network is a network of simulated hosts, on a /16 whose addresses begin as told, such
// as "127.65.".
func Network(name, beginning string) *capstanv1.LogicalNetwork {
	return &capstanv1.LogicalNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: capstanv1.LogicalNetworkSpec{
			Switch: fabric.DefaultSwitch, DNSServers: []string{beginning + "0.53"},
			Subnets: []capstanv1.Subnet{{
				CIDR: beginning + "0.0/16", Gateway: beginning + "0.1",
				NodeRanges: []capstanv1.AddressRange{{Start: beginning + "1.1", End: beginning + "15.254"}},
				VIPRanges:  []capstanv1.AddressRange{{Start: beginning + "100.1", End: beginning + "103.254"}},
			}},
		},
	}
}
