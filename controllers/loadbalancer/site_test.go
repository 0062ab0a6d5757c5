package loadbalancer_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric/lbguest"
)

const clusterName = "shop"

// site is a namespace with a network of its own in 127.0.0.0/8, where guests run.
type site struct {
	namespace string
	prefix    string
	network   string
	segment   *lbguest.Segment
	ca        *authority
	guests    map[string]*guest
	next      int
}

var sites atomic.Int32

// newSite makes a network with one VIP.
func newSite(ctx context.Context) *site {
	GinkgoHelper()
	n := sites.Add(1)
	s := &site{
		namespace: env.Namespace(ctx, GinkgoT()),
		// By the process, so that two runs of the tests at a time do not meet.
		prefix:  fmt.Sprintf("127.%d.%d", 128+os.Getpid()%120, n),
		network: fmt.Sprintf("lan-%d", n),
		segment: lbguest.NewSegment(clock.RealClock{}),
		ca:      newAuthority(),
		guests:  map[string]*guest{},
		next:    10,
	}
	network := &capstanv1.LogicalNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: s.network},
		Spec: capstanv1.LogicalNetworkSpec{Switch: "lan", Subnets: []capstanv1.Subnet{{
			CIDR:       s.prefix + ".0/24",
			NodeRanges: []capstanv1.AddressRange{{Start: s.address(10), End: s.address(99)}},
			VIPRanges:  []capstanv1.AddressRange{{Start: s.vip(), End: s.vip()}},
		}}},
	}
	Expect(k8s.Create(ctx, network)).To(Succeed())
	DeferCleanup(func() {
		for _, g := range s.guests {
			g.powerOff()
		}
	})
	return s
}

func (s *site) address(host int) string { return fmt.Sprintf("%s.%d", s.prefix, host) }

func (s *site) vip() string { return s.address(100) }

// newLoadBalancer makes a LoadBalancer of a cluster whose CA is known.
func (s *site) newLoadBalancer(ctx context.Context, with ...func(*capstanv1.LoadBalancer)) *capstanv1.LoadBalancer {
	GinkgoHelper()
	lb := &capstanv1.LoadBalancer{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName},
		Spec: capstanv1.LoadBalancerSpec{
			ClusterName: clusterName, LogicalNetwork: s.network, Image: "ubuntu", Replicas: ptr.To(int32(1)), APIServerPort: apiPort,
			Size: capstanv1.MachineSize{CPUs: 2, Memory: resource.MustParse("2Gi"), BootDisk: resource.MustParse("20Gi")},
		},
	}
	for _, f := range with {
		f(lb)
	}
	Expect(k8s.Create(ctx, lb)).To(Succeed())
	return lb
}

func (s *site) newCA(ctx context.Context) {
	GinkgoHelper()
	Expect(k8s.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: clusterName + "-ca"},
		Data:       map[string][]byte{"tls.crt": s.ca.pem},
	})).To(Succeed())
}

// vms are the VMs that are not being deleted.
func (s *site) vms(ctx context.Context) []capstanv1.VirtualMachine {
	list := &capstanv1.VirtualMachineList{}
	Expect(k8s.List(ctx, list, client.InNamespace(s.namespace))).To(Succeed())
	var vms []capstanv1.VirtualMachine
	for _, vm := range list.Items {
		if vm.DeletionTimestamp.IsZero() {
			vms = append(vms, vm)
		}
	}
	return vms
}

// waitForVMs waits until there are n VMs and returns them.
func (s *site) waitForVMs(ctx context.Context, n int) []capstanv1.VirtualMachine {
	GinkgoHelper()
	Eventually(func() []capstanv1.VirtualMachine { return s.vms(ctx) }).Should(HaveLen(n))
	return s.vms(ctx)
}

func (s *site) newVMAddress() string {
	s.next++
	return s.address(s.next)
}

func setVMStatus(ctx context.Context, vm *capstanv1.VirtualMachine, change func(*capstanv1.VirtualMachine)) {
	GinkgoHelper()
	Eventually(func() error {
		if err := k8s.Get(ctx, client.ObjectKeyFromObject(vm), vm); err != nil {
			return err
		}
		before := vm.DeepCopy()
		change(vm)
		return k8s.Status().Patch(ctx, vm, client.MergeFrom(before))
	}).Should(Succeed())
}

// fetch returns the LoadBalancer as it is now.
func fetch(ctx context.Context, lb *capstanv1.LoadBalancer) *capstanv1.LoadBalancer {
	now := &capstanv1.LoadBalancer{}
	Expect(k8s.Get(ctx, client.ObjectKeyFromObject(lb), now)).To(Succeed())
	return now
}

// condition is one condition as "status reason".
func condition(ctx context.Context, lb *capstanv1.LoadBalancer, conditionType string) func() string {
	return func() string {
		c := meta.FindStatusCondition(fetch(ctx, lb).Status.Conditions, conditionType)
		if c == nil {
			return ""
		}
		return string(c.Status) + " " + c.Reason
	}
}

func message(ctx context.Context, lb *capstanv1.LoadBalancer, conditionType string) func() string {
	return func() string {
		c := meta.FindStatusCondition(fetch(ctx, lb).Status.Conditions, conditionType)
		if c == nil {
			return ""
		}
		return c.Message
	}
}
