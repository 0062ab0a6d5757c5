package kubeapi_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestATableShowsWhatPeopleLookFor(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	_, err := s.CoreV1().Nodes().Create(ctx, &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"node-role.kubernetes.io/control-plane": ""}},
		Spec:       corev1.NodeSpec{Unschedulable: true},
		Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}},
			NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: "v1.36.3"},
		},
	}, metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/nodes", nil)
	g.Expect(err).NotTo(HaveOccurred())
	r.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
	response, err := http.DefaultClient.Do(r)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	var table metav1.Table
	g.Expect(json.NewDecoder(response.Body).Decode(&table)).To(Succeed())
	row := map[string]any{}
	for i, c := range table.ColumnDefinitions {
		row[c.Name] = table.Rows[0].Cells[i]
	}
	g.Expect(row).To(HaveKeyWithValue("Name", "n"))
	g.Expect(row).To(HaveKeyWithValue("Status", "Ready,SchedulingDisabled"))
	g.Expect(row).To(HaveKeyWithValue("Roles", "control-plane"))
	g.Expect(row).To(HaveKeyWithValue("Version", "v1.36.3"))
}

func TestClientsFindTheirWay(t *testing.T) {
	s := newServer(t)
	for path, want := range map[string]string{
		"/":                                 "/readyz",
		"/api":                              "v1",
		"/apis":                             "coordination.k8s.io",
		"/apis/apps":                        "apps/v1",
		"/openapi/v3":                       "apis/apps/v1",
		"/openapi/v3/apis/events.k8s.io/v1": "fieldValidation",
		"/openapi/v3/api/v1":                "/api/v1/namespaces/{namespace}/configmaps/{name}",
	} {
		t.Run(path, func(t *testing.T) {
			g := NewWithT(t)
			b, err := s.Discovery().RESTClient().Get().AbsPath(path).DoRaw(ctx)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(strings.Contains(string(b), want)).To(BeTrue(), "%s", b)
		})
	}
}
