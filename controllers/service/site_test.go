package service_test

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/testenv"
	"github.com/capstan-k8s/capstan/internal/testenv/workloadapi"
)

// site is a workload cluster with an API server of its own, and what it has in the
// management cluster, in a namespace of its own.
type site struct {
	namespace string
	cluster   client.ObjectKey
	lb        *capstanv1.LoadBalancer
	network   *capstanv1.LogicalNetwork
	config    *rest.Config
	kubernetes.Interface
}

// newSite makes a cluster that can be reached, with one node and VIPs from
// 10.20.0.100 to .109.
func newSite(ctx context.Context, with ...func(*capstanv1.LogicalNetwork)) *site {
	GinkgoHelper()
	s := &site{namespace: env.Namespace(ctx, GinkgoT())}
	s.cluster = client.ObjectKey{Namespace: s.namespace, Name: "shop"}
	s.network = testenv.NewLogicalNetwork("net-"+s.namespace, with...)
	s.lb = &capstanv1.LoadBalancer{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "shop"},
		Spec: capstanv1.LoadBalancerSpec{
			ClusterName: "shop", LogicalNetwork: s.network.Name, Image: "ubuntu", APIServerPort: 6443, Replicas: ptr.To[int32](2),
			Size: testenv.NewSize(2, "2Gi", "20Gi"),
		},
	}
	cluster := &clusterv1.Cluster{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: "shop"},
		Spec: clusterv1.ClusterSpec{InfrastructureRef: clusterv1.ContractVersionedObjectReference{
			APIGroup: "infrastructure.cluster.x-k8s.io", Kind: "HyperVCluster", Name: "shop",
		}},
	}
	env.Create(ctx, s.network, s.lb, cluster)
	s.startAPI()
	s.newNode(ctx, "worker-1", "10.20.0.11")
	remote.set(s.cluster, s.config)
	DeferCleanup(func() { remote.set(s.cluster, nil) })
	return s
}

// apply applies the LoadBalancer with so many VMs, as whoever makes it does.
func (s *site) apply(ctx context.Context, replicas int32) {
	GinkgoHelper()
	wanted := s.lb.DeepCopy()
	wanted.Spec.Replicas = &replicas
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&capstanv1.LoadBalancer{
		TypeMeta:   metav1.TypeMeta{APIVersion: capstanv1.GroupVersion.String(), Kind: "LoadBalancer"},
		ObjectMeta: metav1.ObjectMeta{Namespace: wanted.Namespace, Name: wanted.Name}, Spec: wanted.Spec,
	})
	Expect(err).NotTo(HaveOccurred())
	delete(content, "status")
	Expect(env.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(&unstructured.Unstructured{Object: content}),
		client.FieldOwner(capstanv1.FieldOwner), client.ForceOwnership)).To(Succeed())
}

// startAPI starts the cluster's API server.
func (s *site) startAPI() {
	GinkgoHelper()
	s.config = workloadapi.Start(GinkgoTB(), "default", "team")
	s.Interface = kubernetes.NewForConfigOrDie(s.config)
}

// newNode makes a node, and the VM that it is unless it says that it is another one.
func (s *site) newNode(ctx context.Context, name, address string, with ...func(*corev1.Node)) {
	GinkgoHelper()
	id := uuid.NewString()
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.NodeSpec{ProviderID: capstanv1.ProviderIDScheme + id},
		Status: corev1.NodeStatus{
			Addresses:  []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}, {Type: corev1.NodeInternalIP, Address: address}},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
		},
	}
	for _, f := range with {
		f(node)
	}
	if node.Spec.ProviderID == capstanv1.ProviderIDScheme+id {
		s.newVM(ctx, name, id, address)
	}
	status := node.Status
	made, err := s.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	made.Status = status
	_, err = s.CoreV1().Nodes().UpdateStatus(ctx, made, metav1.UpdateOptions{})
	Expect(err).NotTo(HaveOccurred())
}

// label says of a node whether load balancers leave it out.
func (s *site) label(ctx context.Context, node, excluded string) {
	GinkgoHelper()
	patch := `{"metadata":{"labels":{"` + corev1.LabelNodeExcludeBalancers + `":"` + excluded + `"}}}`
	_, err := s.CoreV1().Nodes().Patch(ctx, node, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	Expect(err).NotTo(HaveOccurred())
}

func (s *site) newVM(ctx context.Context, name, id, address string, with ...func(*capstanv1.VirtualMachine)) {
	GinkgoHelper()
	vm := &capstanv1.VirtualMachine{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: name},
		Spec: capstanv1.VirtualMachineSpec{
			ID: id, Role: capstanv1.RoleWorker, ClusterName: "shop", OS: capstanv1.OSLinux, Image: "linux",
			Size: testenv.NewSize(2, "2Gi", "20Gi"), Networks: []capstanv1.VMNetwork{{LogicalNetwork: s.network.Name}}, BootstrapSecret: name,
		},
	}
	for _, f := range with {
		f(vm)
	}
	env.Create(ctx, vm)
	testenv.UpdateStatus(ctx, env, vm, func(vm *capstanv1.VirtualMachine) { vm.Status.Addresses = []string{address} })
}

// expose makes a Service of type LoadBalancer in namespace default.
func (s *site) expose(ctx context.Context, name string, with ...func(*corev1.Service)) *corev1.Service {
	GinkgoHelper()
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Protocol: corev1.ProtocolTCP, Port: 80}},
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyCluster,
		},
	}
	for _, f := range with {
		f(service)
	}
	made, err := s.CoreV1().Services(service.Namespace).Create(ctx, service, metav1.CreateOptions{})
	Expect(err).NotTo(HaveOccurred())
	return made
}

// change changes a Service.
func (s *site) change(ctx context.Context, name string, change func(*corev1.Service)) {
	GinkgoHelper()
	Eventually(func() error {
		service, err := s.CoreV1().Services("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		change(service)
		_, err = s.CoreV1().Services("default").Update(ctx, service, metav1.UpdateOptions{})
		return err
	}).Should(Succeed())
}

// published is the address that a Service tells, "" as long as it tells none.
func (s *site) published(ctx context.Context, name string) func() string {
	return func() string {
		service, err := s.CoreV1().Services("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil || len(service.Status.LoadBalancer.Ingress) != 1 {
			return ""
		}
		return service.Status.LoadBalancer.Ingress[0].IP
	}
}

// told are the Services that the LoadBalancer has, by their names.
func (s *site) told(ctx context.Context) map[string]capstanv1.LoadBalancerService {
	lb := s.loadBalancer(ctx)
	services := map[string]capstanv1.LoadBalancerService{}
	for _, service := range lb.Spec.Services {
		services[service.Name] = service
	}
	return services
}

func (s *site) loadBalancer(ctx context.Context) *capstanv1.LoadBalancer {
	lb := &capstanv1.LoadBalancer{}
	Expect(env.Client.Get(ctx, client.ObjectKeyFromObject(s.lb), lb)).To(Succeed())
	return lb
}

// nodes are those that the LoadBalancer has, as "name address", with a mark for those
// that are drained.
func (s *site) nodes(ctx context.Context) func() []string {
	return func() []string {
		var nodes []string
		for _, node := range s.loadBalancer(ctx).Spec.Nodes {
			line := node.Name + " " + node.Address
			if node.Draining {
				line += " draining"
			}
			nodes = append(nodes, line)
		}
		return nodes
	}
}

// reserved are the addresses of the network that somebody has.
func (s *site) reserved(ctx context.Context) func() []string {
	return func() []string {
		list := &capstanv1.AddressReservationList{}
		Expect(env.Client.List(ctx, list)).To(Succeed())
		held := []string{}
		for i := range list.Items {
			if spec := list.Items[i].Spec; spec.LogicalNetwork == s.network.Name {
				held = append(held, spec.Address)
			}
		}
		return held
	}
}

func (s *site) claims(ctx context.Context) []ipamv1.IPAddressClaim {
	list := &ipamv1.IPAddressClaimList{}
	Expect(env.Client.List(ctx, list, client.InNamespace(s.namespace))).To(Succeed())
	return list.Items
}

// purposes tell what the claims are for.
func (s *site) purposes(ctx context.Context) []string {
	var labels []string
	for _, claim := range s.claims(ctx) {
		labels = append(labels, claim.Labels[capstanv1.ServiceVIPLabel])
	}
	return labels
}

// warnings are what the events of a Service say that are not Normal.
func (s *site) warnings(ctx context.Context, name string) func() []string {
	return s.events(ctx, name, corev1.EventTypeWarning)
}

// notes are what the other ones say.
func (s *site) notes(ctx context.Context, name string) func() []string {
	return s.events(ctx, name, corev1.EventTypeNormal)
}

func (s *site) events(ctx context.Context, name, kind string) func() []string {
	return func() []string {
		list, err := s.CoreV1().Events("default").List(ctx, metav1.ListOptions{})
		Expect(err).NotTo(HaveOccurred())
		var notes []string
		for _, e := range list.Items {
			if e.InvolvedObject.Name == name && e.Type == kind {
				notes = append(notes, fmt.Sprintf("%s: %s", e.Reason, e.Message))
			}
		}
		return notes
	}
}
