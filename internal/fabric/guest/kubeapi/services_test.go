package kubeapi_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

func TestStatusAndSpecAreWrittenApart(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	svc, err := s.CoreV1().Services("default").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(svc.Spec.ClusterIP).NotTo(BeEmpty())
	g.Expect(svc.Spec.Ports[0].NodePort).To(BeNumerically(">=", 30000))

	status := svc.DeepCopy()
	status.Spec.Ports[0].Port = 81
	status.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "127.1.2.3"}}
	svc, err = s.CoreV1().Services("default").UpdateStatus(ctx, status, metav1.UpdateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(svc.Spec.Ports[0].Port).To(BeEquivalentTo(80))
	g.Expect(svc.Status.LoadBalancer.Ingress).To(HaveLen(1))
	g.Expect(svc.Generation).To(BeEquivalentTo(1))

	svc.Status = corev1.ServiceStatus{}
	svc.Spec.Ports[0].Port = 82
	svc, err = s.CoreV1().Services("default").Update(ctx, svc, metav1.UpdateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(svc.Status.LoadBalancer.Ingress).To(HaveLen(1))
	g.Expect(svc.Generation).To(BeEquivalentTo(2))
}

// Kubernetes' own service controller writes its finalizer this way.
func TestFinalizersOfServicesAreWrittenWithTheStatus(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	services := s.CoreV1().Services("default")
	_, err := services.Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	patch := func(finalizers string) *corev1.Service {
		svc, err := services.Patch(ctx, "web", types.StrategicMergePatchType,
			[]byte(`{"metadata":{"finalizers":`+finalizers+`},"spec":{"externalName":"ignored"}}`), metav1.PatchOptions{}, "status")
		g.Expect(err).NotTo(HaveOccurred())
		return svc
	}
	held := patch(`["example.org/held"]`)
	g.Expect(held.Finalizers).To(ConsistOf("example.org/held"))
	g.Expect(held.Spec.ExternalName).To(BeEmpty())
	g.Expect(held.Generation).To(BeEquivalentTo(1))
	g.Expect(services.Delete(ctx, "web", metav1.DeleteOptions{})).To(Succeed())
	_, err = services.Get(ctx, "web", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	patch(`null`)
	_, err = services.Get(ctx, "web", metav1.GetOptions{})
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
}

func TestServicesNeverShareANodePortOrAddress(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	ips, ports := map[string]bool{}, map[int32]bool{}
	for _, name := range []string{"a", "b", "c"} {
		svc, err := s.CoreV1().Services("default").Create(ctx, &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Name: "x", Port: 80}, {Name: "y", Port: 81}}},
		}, metav1.CreateOptions{})
		g.Expect(err).NotTo(HaveOccurred())
		ips[svc.Spec.ClusterIP] = true
		ports[svc.Spec.Ports[0].NodePort], ports[svc.Spec.Ports[1].NodePort] = true, true
	}
	g.Expect(ips).To(HaveLen(3))
	g.Expect(ports).To(HaveLen(6))
	_, err := s.CoreV1().Services("default").Create(ctx, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "d"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80, NodePort: 30000}}},
	}, metav1.CreateOptions{})
	g.Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
}
