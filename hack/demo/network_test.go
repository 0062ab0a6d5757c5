package main

import (
	"os"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/yaml"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestTheGatewayOfTheSamplesIsWhatIsClaimed(t *testing.T) {
	g := NewWithT(t)
	text, err := os.ReadFile("../../" + samples + "/network.yaml")
	g.Expect(err).NotTo(HaveOccurred())
	network := &capstanv1.LogicalNetwork{}
	g.Expect(yaml.UnmarshalStrict(text, network)).To(Succeed())
	g.Expect(gateway).To(HavePrefix(network.Spec.Subnets[0].Gateway + ":"))
}
