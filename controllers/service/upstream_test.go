package service

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func TestTheServiceControllerBeginsWithTheFirstServiceForIt(t *testing.T) {
	balanced := corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}
	held := metav1.ObjectMeta{Finalizers: []string{"service.kubernetes.io/load-balancer-cleanup"}}
	deleted := *held.DeepCopy()
	deleted.DeletionTimestamp = ptr.To(metav1.Now())
	for name, tc := range map[string]struct {
		object any
		begins bool
	}{
		"one that asks for a load balancer":   {&corev1.Service{Spec: balanced}, true},
		"one that has asked for one":          {&corev1.Service{ObjectMeta: held, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP}}, true},
		"one that is being deleted":           {&corev1.Service{ObjectMeta: deleted, Spec: balanced}, true},
		"one that asks for nothing":           {&corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort}}, false},
		"one that asks another load balancer": {&corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: ptr.To("other")}}, false},
		"no Service at all":                   {&corev1.Node{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g, u := NewWithT(t), &upstream{asked: make(chan struct{})}
			u.see(tc.object)
			u.see(tc.object)
			if tc.begins {
				g.Expect(u.asked).To(BeClosed())
			} else {
				g.Expect(u.asked).NotTo(BeClosed())
			}
		})
	}
}

func TestInformersKeepOnlyWhatIsRead(t *testing.T) {
	g := NewWithT(t)
	written := metav1.ObjectMeta{
		Name: "it", Annotations: map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "mine": "stays"},
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
	}
	node := &corev1.Node{ObjectMeta: *written.DeepCopy(), Status: corev1.NodeStatus{
		Images: []corev1.ContainerImage{{Names: []string{"image"}}}, Addresses: []corev1.NodeAddress{{Address: "192.0.2.1"}},
	}}
	for _, object := range []metav1.Object{node, &corev1.Service{ObjectMeta: *written.DeepCopy()}} {
		kept, err := strip(object)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(kept).To(BeIdenticalTo(object))
		g.Expect(object.GetManagedFields()).To(BeEmpty())
		g.Expect(object.GetAnnotations()).To(Equal(map[string]string{"mine": "stays"}))
	}
	g.Expect(node.Status.Images).To(BeEmpty())
	g.Expect(node.Status.Addresses).To(HaveLen(1))
}
