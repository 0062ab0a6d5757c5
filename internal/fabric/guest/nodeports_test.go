package guest_test

import (
	"context"
	"io"
	"net/http"
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// answerOf returns what a machine answers on a port, "" if it does not.
func answerOf(m *machine, port int32) func() string {
	return func() string {
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		response, err := client.Get("http://" + netip.AddrPortFrom(m.address, uint16(port)).String() + "/healthz")
		if err != nil {
			return ""
		}
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		return string(body)
	}
}

func TestAWorkerAnswersOnTheNodePortsOfServices(t *testing.T) {
	g := NewWithT(t)
	w := newWorld(t)
	cp := w.startCluster()
	worker := w.machine("worker-1").seed(w.worker()).powerOn()
	g.Eventually(worker.ready, patient, often).Should(BeTrue(), worker.said)
	g.Eventually(answerOf(worker, 10256), patient, often).Should(Equal("ok\n"))

	services := w.admin(w.vip.at).CoreV1().Services("default")
	service, err := services.Create(context.Background(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	port := service.Spec.Ports[0].NodePort
	g.Eventually(answerOf(worker, port), patient, often).Should(Equal("default/web answers on worker-1\n"))
	g.Expect(answerOf(cp, port)()).To(BeEmpty(), "load balancers leave control planes alone")

	g.Expect(services.Delete(context.Background(), "web", metav1.DeleteOptions{})).To(Succeed())
	g.Eventually(answerOf(worker, port), patient, often).Should(BeEmpty())
	worker.powerOff()
	g.Expect(answerOf(worker, 10256)()).To(BeEmpty())
}
