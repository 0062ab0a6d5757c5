package service

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	clocktesting "k8s.io/utils/clock/testing"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func TestOwnersAreToldWhatTheirServicesWaitFor(t *testing.T) {
	vm := func(name, role string, applied int64) capstanv1.LoadBalancerInstance {
		return capstanv1.LoadBalancerInstance{Name: name, Role: role, AppliedGeneration: applied}
	}
	refused := []capstanv1.RefusedService{{Name: "default/web", Message: "port 80 is taken"}}
	for name, tc := range map[string]struct {
		status    capstanv1.LoadBalancerStatus
		published bool
		want      []string
	}{
		"it is carried":     {status: capstanv1.LoadBalancerStatus{PlannedGeneration: 4, PlanGeneration: 2, Instances: []capstanv1.LoadBalancerInstance{vm("a", roleActive, 2), vm("b", "Unknown", 1)}}},
		"it is not planned": {status: capstanv1.LoadBalancerStatus{PlannedGeneration: 3}, want: []string{"Normal: Waiting for the load balancer to plan this Service"}},
		"a VM is behind": {
			status: capstanv1.LoadBalancerStatus{PlannedGeneration: 4, PlanGeneration: 2, Instances: []capstanv1.LoadBalancerInstance{vm("a", roleActive, 2), vm("b", roleStandby, 1)}},
			want:   []string{"Normal: Waiting for load-balancer VM b to carry this Service"},
		},
		"no VM answers": {
			status: capstanv1.LoadBalancerStatus{PlannedGeneration: 4, PlanGeneration: 2, Instances: []capstanv1.LoadBalancerInstance{vm("a", "Unknown", 2), vm("b", "Unknown", 1)}},
			want:   []string{"Normal: Waiting for a load-balancer VM that can be asked: none of a, b answers"},
		},
		"there is no VM": {status: capstanv1.LoadBalancerStatus{PlannedGeneration: 4}, want: []string{"Normal: Waiting for the first load-balancer VM"}},
		"it is refused": {
			status: capstanv1.LoadBalancerStatus{PlannedGeneration: 4, RefusedServices: refused},
			want:   []string{"Warning: The load balancer does not carry what this Service asks for: port 80 is taken"},
		},
		"it is published, and a VM is behind": {published: true, status: capstanv1.LoadBalancerStatus{
			PlannedGeneration: 4, PlanGeneration: 2, Instances: []capstanv1.LoadBalancerInstance{vm("a", roleActive, 1)},
		}},
		"it is published, and a change is refused": {
			published: true, status: capstanv1.LoadBalancerStatus{PlannedGeneration: 4, RefusedServices: refused},
			want: []string{"Warning: The load balancer does not carry what this Service asks for: port 80 is taken"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, lb, web := NewWithT(t), shop(), newService()
			lb.Generation, lb.Status = 4, tc.status
			lb.Spec.Services = []capstanv1.LoadBalancerService{{Name: "default/web", VIP: "192.0.2.1"}}
			if tc.published {
				web.Status.LoadBalancer.Ingress = ingressOf("192.0.2.1")
			}
			services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
			g.Expect(services.Add(web)).To(Succeed())
			passing := clocktesting.NewFakeClock(time.Unix(1000, 0))
			p := &publisher{
				kube: fake.NewClientset(), services: corelisters.NewServiceLister(services), balancer: &balancer{book: newBook(lb)},
				clock: passing, latest: func() *capstanv1.LoadBalancer { return lb },
			}
			told := func() (notes []string) {
				list, err := p.kube.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{})
				g.Expect(err).NotTo(HaveOccurred())
				for _, e := range list.Items {
					g.Expect(e.InvolvedObject.Name).To(Equal("web"))
					notes = append(notes, fmt.Sprintf("%s: %s", e.Type, e.Message))
				}
				return notes
			}
			wait := p.tell(t.Context())
			g.Expect(told()).To(BeEmpty(), "it may be carried in a moment")
			if tc.want == nil {
				g.Expect(wait).To(BeZero())
			} else {
				g.Expect(wait).To(Equal(tellAfter))
			}
			passing.Step(tellAfter)
			g.Expect(p.tell(t.Context())).To(BeZero())
			g.Expect(told()).To(Equal(tc.want))
			passing.Step(time.Hour)
			g.Expect(p.tell(t.Context())).To(BeZero())
			g.Expect(told()).To(Equal(tc.want), "once is enough")
		})
	}
}

func TestOwnersAreToldOfOneThingAfterTheOther(t *testing.T) {
	g, lb := NewWithT(t), shop()
	lb.Generation, lb.Status.PlannedGeneration = 1, 1
	services := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	const many = tellAtOnce + 1
	for i := range many {
		one := newService(func(s *corev1.Service) { s.Name = fmt.Sprintf("web-%d", i) })
		lb.Spec.Services = append(lb.Spec.Services, capstanv1.LoadBalancerService{Name: nameOf(one), VIP: "192.0.2.1"})
		g.Expect(services.Add(one)).To(Succeed())
	}
	passing := clocktesting.NewFakeClock(time.Unix(1000, 0))
	p := &publisher{
		kube: fake.NewClientset(), services: corelisters.NewServiceLister(services), balancer: &balancer{book: newBook(lb)},
		clock: passing, latest: func() *capstanv1.LoadBalancer { return lb },
	}
	told := func() int {
		list, err := p.kube.CoreV1().Events("default").List(t.Context(), metav1.ListOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		return len(list.Items)
	}
	g.Expect(p.tell(t.Context())).To(Equal(tellAfter))
	passing.Step(tellAfter)
	g.Expect(p.tell(t.Context())).To(Equal(tellRest))
	g.Expect(told()).To(Equal(tellAtOnce))
	passing.Step(tellRest)
	g.Expect(p.tell(t.Context())).To(BeZero())
	g.Expect(told()).To(Equal(many))

	lb.Status.Instances = []capstanv1.LoadBalancerInstance{{Name: "a"}}
	g.Expect(p.tell(t.Context())).To(Equal(tellAgain-tellRest), "it is not told of every turn")
	passing.Step(tellAgain)
	for p.tell(t.Context()) > 0 {
		passing.Step(tellRest)
	}
	g.Expect(told()).To(Equal(2 * many))
}
