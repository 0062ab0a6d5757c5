package loadbalancer

import (
	"errors"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/lbapi"
)

func TestTroubleWithAnAgentIsToldInAPersonsWords(t *testing.T) {
	at := func(addresses ...string) *capstanv1.VirtualMachine {
		return &capstanv1.VirtualMachine{
			ObjectMeta: metav1.ObjectMeta{Name: "shop-lb-x"}, Status: capstanv1.VirtualMachineStatus{Addresses: addresses},
		}
	}
	const transport = `connection error: desc = "transport: Error while dialing: dial tcp 127.64.1.3:9443: connect: connection refused"`
	for name, tc := range map[string]struct {
		vm   *capstanv1.VirtualMachine
		err  error
		want string
	}{
		"a plan that does not arrive": {
			at("127.64.1.3"), lbapi.Errorf(lbapi.Unreachable, "apply plan to load balancer shop-lb-x: %s", transport),
			"its agent does not answer at 127.64.1.3:9443",
		},
		"a status that is heard no more": {
			at("127.64.1.3"), fmt.Errorf("following: %w", lbapi.Errorf(lbapi.Unreachable, "watch load balancer shop-lb-x: EOF")),
			"its agent does not answer at 127.64.1.3:9443",
		},
		"an agent without an address": {at(), lbapi.Errorf(lbapi.Unreachable, "no route"), "its agent does not answer"},
		"an answer that is no":        {at("127.64.1.3"), lbapi.Errorf(lbapi.ApplyFailed, "apply plan to load balancer shop-lb-x: no such port"), "apply plan to it: no such port"},
		"something else":              {at("127.64.1.3"), errors.New("reading Secret a: not there"), "reading Secret a: not there"},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(tellTrouble(tc.vm, tc.err)).To(Equal(tc.want))
		})
	}
}
