package loadbalancer_test

import (
	"fmt"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/addresspool"
)

var _ = Describe("LoadBalancers of a network whose virtual router IDs are all taken", func() {
	It("say so, and get those that come free in the order in which they were made", func(ctx SpecContext) {
		s := newSite(ctx)
		s.widen(ctx, 2)
		reservation := func(id int32) *capstanv1.AddressReservation {
			return &capstanv1.AddressReservation{
				ObjectMeta: metav1.ObjectMeta{Name: addresspool.VirtualRouterReservationName(s.network, id)},
				Spec: capstanv1.AddressReservationSpec{
					LogicalNetwork: s.network, Address: addresspool.VirtualRouter(id),
					ClaimRef: capstanv1.ClaimReference{Namespace: "elsewhere", Name: "other-vip", UID: fmt.Sprint(id)},
				},
			}
		}
		var all sync.WaitGroup
		for id := range int32(255) {
			all.Go(func() {
				defer GinkgoRecover()
				Expect(k8s.Create(ctx, reservation(id+1))).To(Succeed())
			})
		}
		all.Wait()
		var line []*capstanv1.LoadBalancer
		for _, name := range []string{"a", "b"} {
			lb := s.newLoadBalancer(ctx, replicas(1), func(lb *capstanv1.LoadBalancer) { lb.Name, lb.Spec.ClusterName = name, name })
			env.ExpectCondition(ctx, lb, capstanv1.VIPAllocatedCondition, metav1.ConditionFalse, capstanv1.ReasonNetworkFull,
				Equal("LogicalNetwork "+s.network+" is full: all 255 virtual router IDs are taken; use another network or delete a load balancer"))
			line = append(line, lb)
		}
		for i, id := range []int32{17, 200} {
			Expect(k8s.Delete(ctx, reservation(id))).To(Succeed())
			env.ExpectCondition(ctx, line[i], capstanv1.VIPAllocatedCondition, metav1.ConditionTrue, capstanv1.ReasonAllocated, Not(BeEmpty()))
			Expect(line[i].Status.VRID).To(Equal(id))
			for _, behind := range line[i+1:] {
				Expect(fetch(ctx, behind).Status.VRID).To(BeZero(), "an older one waited for it")
			}
		}
	})
})
