package kubeapi_test

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

func TestWorkloadsAreRolledOutAtOnce(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	for name, system := range map[string]string{"one": "linux", "two": "linux", "three": "windows"} {
		_, err := s.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: system}}}, metav1.CreateOptions{})
		g.Expect(err).NotTo(HaveOccurred())
	}
	expectCurrent := func(obj runtime.Object, kind string) {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
		g.Expect(err).NotTo(HaveOccurred())
		u := &unstructured.Unstructured{Object: content}
		u.SetAPIVersion("apps/v1")
		u.SetKind(kind)
		result, err := status.Compute(u)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(result.Status).To(Equal(status.CurrentStatus), "%s: %s", kind, result.Message)
	}
	meta := metav1.ObjectMeta{Name: "web"}
	selector := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	pods := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: selector.MatchLabels},
		Spec:       corev1.PodSpec{NodeSelector: map[string]string{corev1.LabelOSStable: "linux"}, Containers: []corev1.Container{{Name: "web", Image: "web:1"}}},
	}
	apps := s.AppsV1()

	daemons, err := apps.DaemonSets("default").Create(ctx, &appsv1.DaemonSet{ObjectMeta: meta, Spec: appsv1.DaemonSetSpec{Selector: selector, Template: pods}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(daemons.Status.NumberAvailable).To(Equal(int32(2)))
	expectCurrent(daemons, "DaemonSet")
	daemons.Spec.Template.Spec.NodeSelector = nil
	daemons, err = apps.DaemonSets("default").Update(ctx, daemons, metav1.UpdateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(daemons.Status.NumberAvailable).To(Equal(int32(3)))
	expectCurrent(daemons, "DaemonSet")

	deployment, err := apps.Deployments("default").Create(ctx, &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Selector: selector, Template: pods}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	expectCurrent(deployment, "Deployment")
	deployment.Spec.Replicas = ptr.To[int32](5)
	deployment, err = apps.Deployments("default").Update(ctx, deployment, metav1.UpdateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(deployment.Status.AvailableReplicas).To(Equal(int32(5)))
	expectCurrent(deployment, "Deployment")

	set, err := apps.StatefulSets("default").Create(ctx, &appsv1.StatefulSet{ObjectMeta: meta, Spec: appsv1.StatefulSetSpec{Selector: selector, Template: pods, Replicas: ptr.To[int32](2)}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	expectCurrent(set, "StatefulSet")
}
