package kubeapi_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-logr/logr/testr"
	. "github.com/onsi/gomega"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/yaml"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/kubeapi"
)

var ctx = context.Background()

// server is an API server whose client is its administrator.
type server struct {
	*kubernetes.Clientset
	url   string
	store *kubeapi.Store
	down  atomic.Bool
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{store: kubeapi.NewStore(clock.RealClock{}, nil)}
	handler := kubeapi.NewServer(kubeapi.Options{
		Store: s.store, Clock: clock.RealClock{}, Log: testr.New(t), Version: "v1.36.3",
		Available: func() error {
			if s.down.Load() {
				return errors.New("etcdserver: no leader")
			}
			return nil
		},
		Sign: func(*x509.CertificateRequest, *certificatesv1.CertificateSigningRequest) ([]byte, error) {
			return []byte("signed"), nil
		},
		DialPod: func(context.Context, string, string, string) (net.Conn, error) {
			return nil, errors.New("there are no pods")
		},
	})
	// An administrator's certificate without the trouble of TLS.
	admin := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "kubernetes-admin"}}}}}
		}
		handler.ServeHTTP(w, r)
	})
	web := httptest.NewServer(admin)
	t.Cleanup(web.Close)
	s.url = web.URL
	s.Clientset = kubernetes.NewForConfigOrDie(&rest.Config{Host: web.URL, QPS: -1, UserAgent: "tester/1"})
	g := NewWithT(t)
	for _, name := range []string{"default", "kube-system"} {
		_, err := s.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		g.Expect(err).NotTo(HaveOccurred())
	}
	return s
}

func configMap(name string, data ...string) *corev1.ConfigMap {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{}}
	for _, d := range data {
		k, v, _ := strings.Cut(d, "=")
		cm.Data[k] = v
	}
	return cm
}

func TestAnUpdateOfAnOldVersionIsAConflict(t *testing.T) {
	g := NewWithT(t)
	maps := newServer(t).CoreV1().ConfigMaps("default")
	first, err := maps.Create(ctx, configMap("a", "k=1"), metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(first.UID).NotTo(BeEmpty())

	changed := first.DeepCopy()
	changed.Data["k"] = "2"
	_, err = maps.Update(ctx, changed, metav1.UpdateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	first.Data["k"] = "3"
	_, err = maps.Update(ctx, first, metav1.UpdateOptions{})
	g.Expect(apierrors.IsConflict(err)).To(BeTrue(), "%v", err)

	_, err = maps.Create(ctx, configMap("a"), metav1.CreateOptions{})
	g.Expect(apierrors.IsAlreadyExists(err)).To(BeTrue(), "%v", err)
	_, err = maps.Get(ctx, "b", metav1.GetOptions{})
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
}

func TestAWatchResumesWhereItLeftOff(t *testing.T) {
	g := NewWithT(t)
	maps := newServer(t).CoreV1().ConfigMaps("default")
	first, err := maps.Create(ctx, configMap("a"), metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = maps.Create(ctx, configMap("b"), metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(maps.Delete(ctx, "a", metav1.DeleteOptions{})).To(Succeed())

	w, err := maps.Watch(ctx, metav1.ListOptions{ResourceVersion: first.ResourceVersion})
	g.Expect(err).NotTo(HaveOccurred())
	defer w.Stop()
	g.Eventually(w.ResultChan()).Should(Receive(is(watch.Added, "b")))
	g.Eventually(w.ResultChan()).Should(Receive(is(watch.Deleted, "a")))
}

func TestAWatchOfWhatIsForgottenIsGone(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	old, err := s.CoreV1().ConfigMaps("default").Create(ctx, configMap("a"), metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	snapshot, err := s.store.Snapshot()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(s.store.Load(snapshot)).To(Succeed())

	_, err = s.CoreV1().ConfigMaps("default").Watch(ctx, metav1.ListOptions{ResourceVersion: old.ResourceVersion})
	g.Expect(apierrors.IsResourceExpired(err)).To(BeTrue(), "%v", err)
	again, err := s.CoreV1().ConfigMaps("default").Get(ctx, "a", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again.UID).To(Equal(old.UID))
	g.Expect(again.CreationTimestamp.Equal(&old.CreationTimestamp)).To(BeTrue())
}

func TestAWatchWithASelectorSeesObjectsComeAndGo(t *testing.T) {
	g := NewWithT(t)
	maps := newServer(t).CoreV1().ConfigMaps("default")
	w, err := maps.Watch(ctx, metav1.ListOptions{LabelSelector: "color=blue"})
	g.Expect(err).NotTo(HaveOccurred())
	defer w.Stop()
	_, err = maps.Create(ctx, configMap("a"), metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	for _, color := range []string{"blue", "red"} {
		_, err = maps.Patch(ctx, "a", types.MergePatchType, []byte(`{"metadata":{"labels":{"color":"`+color+`"}}}`), metav1.PatchOptions{})
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Eventually(w.ResultChan()).Should(Receive(is(watch.Added, "a")))
	g.Eventually(w.ResultChan()).Should(Receive(is(watch.Deleted, "a")))
}

func is(kind watch.EventType, name string) any {
	return And(HaveField("Type", kind), HaveField("Object.ObjectMeta.Name", name))
}

func TestFieldSelectorsFindPodsOfANode(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	for _, node := range []string{"n1", "n2"} {
		_, err := s.CoreV1().Pods("default").Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "on-" + node}, Spec: corev1.PodSpec{NodeName: node}}, metav1.CreateOptions{})
		g.Expect(err).NotTo(HaveOccurred())
	}
	pods, err := s.CoreV1().Pods("").List(ctx, metav1.ListOptions{FieldSelector: "spec.nodeName=n2"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pods.Items).To(ConsistOf(HaveField("Name", "on-n2")))
}

func TestFinalizersHoldUpADeletion(t *testing.T) {
	g := NewWithT(t)
	maps := newServer(t).CoreV1().ConfigMaps("default")
	cm := configMap("a")
	cm.Finalizers = []string{"example.com/hold"}
	_, err := maps.Create(ctx, cm, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(maps.Delete(ctx, "a", metav1.DeleteOptions{})).To(Succeed())
	held, err := maps.Get(ctx, "a", metav1.GetOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(held.DeletionTimestamp).NotTo(BeNil())
	held.Finalizers = nil
	_, err = maps.Update(ctx, held, metav1.UpdateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = maps.Get(ctx, "a", metav1.GetOptions{})
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
}

func TestServerSideApplyKnowsTheOwnersOfFields(t *testing.T) {
	g := NewWithT(t)
	maps := newServer(t).CoreV1().ConfigMaps("default")
	apply := func(manager string, force bool, data map[string]string) (*corev1.ConfigMap, error) {
		return maps.Apply(ctx, applycorev1.ConfigMap("a", "default").WithData(data), metav1.ApplyOptions{FieldManager: manager, Force: force})
	}
	_, err := apply("one", false, map[string]string{"k": "1", "gone": "soon"})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = apply("two", false, map[string]string{"k": "2"})
	g.Expect(apierrors.IsConflict(err)).To(BeTrue(), "%v", err)
	_, err = apply("two", true, map[string]string{"k": "2", "mine": "x"})
	g.Expect(err).NotTo(HaveOccurred())
	cm, err := apply("one", false, map[string]string{"other": "y"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cm.Data).To(Equal(map[string]string{"k": "2", "mine": "x", "other": "y"}))
	before := cm.ResourceVersion
	cm, err = apply("one", false, map[string]string{"other": "y"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(cm.ResourceVersion).To(Equal(before))
}

func TestAStrategicPatchMergesListsByKey(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	_, err := s.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue}, {Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse},
	}}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	node, err := s.CoreV1().Nodes().PatchStatus(ctx, "n", []byte(`{"status":{"conditions":[{"type":"Ready","status":"False"}]}}`))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(node.Status.Conditions).To(HaveLen(2))
	node, err = s.CoreV1().Nodes().Patch(ctx, "n", types.JSONPatchType, []byte(`[{"op":"add","path":"/spec/unschedulable","value":true}]`), metav1.PatchOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(node.Spec.Unschedulable).To(BeTrue())
}

func TestADryRunChangesNothing(t *testing.T) {
	g := NewWithT(t)
	maps := newServer(t).CoreV1().ConfigMaps("default")
	_, err := maps.Create(ctx, configMap("a"), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = maps.Get(ctx, "a", metav1.GetOptions{})
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
}

func TestAMisspeltFieldIsRefusedWhenAsked(t *testing.T) {
	for validation, want := range map[string]int{"Strict": http.StatusBadRequest, "Ignore": http.StatusCreated} {
		t.Run(validation, func(t *testing.T) {
			g := NewWithT(t)
			s := newServer(t)
			body := `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"datum":{}}`
			r, err := http.Post(s.url+"/api/v1/namespaces/default/configmaps?fieldValidation="+validation, "application/json", strings.NewReader(body))
			g.Expect(err).NotTo(HaveOccurred())
			defer func() { _ = r.Body.Close() }()
			g.Expect(r.StatusCode).To(Equal(want))
		})
	}
}

func TestDeletingANodeOrNamespaceTakesItsContentAlong(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	_, err := s.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = s.CoreV1().ConfigMaps("team").Create(ctx, configMap("a"), metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = s.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	_, err = s.CoreV1().Pods("default").Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{NodeName: "n"}}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())

	g.Expect(s.CoreV1().Namespaces().Delete(ctx, "team", metav1.DeleteOptions{})).To(Succeed())
	g.Expect(s.CoreV1().Nodes().Delete(ctx, "n", metav1.DeleteOptions{})).To(Succeed())
	for _, err := range []error{
		second(s.CoreV1().ConfigMaps("team").Get(ctx, "a", metav1.GetOptions{})),
		second(s.CoreV1().Pods("default").Get(ctx, "p", metav1.GetOptions{})),
	} {
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
	}
	_, err = s.CoreV1().ConfigMaps("team").Create(ctx, configMap("a"), metav1.CreateOptions{})
	g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
}

func second[T any](_ T, err error) error { return err }

func TestAServerWithoutEtcdAnswersUnavailableAndEndsWatches(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	w, err := s.CoreV1().ConfigMaps("default").Watch(ctx, metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	s.down.Store(true)
	s.store.CloseWatches()
	g.Eventually(w.ResultChan()).Should(BeClosed())
	_, err = s.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	g.Expect(apierrors.IsServiceUnavailable(err)).To(BeTrue(), "%v", err)
	s.down.Store(false)
	_, err = s.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
	g.Expect(err).NotTo(HaveOccurred())
}

func TestEveryResourceIsDiscoveredAndListed(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	_, lists, err := s.Discovery().ServerGroupsAndResources()
	g.Expect(err).NotTo(HaveOccurred())
	seen := 0
	for _, list := range lists {
		for _, r := range list.APIResources {
			if strings.Contains(r.Name, "/") {
				continue
			}
			path := "/apis/" + list.GroupVersion
			if list.GroupVersion == "v1" {
				path = "/api/v1"
			}
			b, err := s.Discovery().RESTClient().Get().AbsPath(path, r.Name).DoRaw(ctx)
			g.Expect(err).NotTo(HaveOccurred(), r.Name)
			g.Expect(yaml.Unmarshal(b, &metav1.PartialObjectMetadataList{})).To(Succeed())
			seen++
		}
	}
	g.Expect(seen).To(BeNumerically(">", 30))
}
