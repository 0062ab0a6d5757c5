package kubeapi_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestABootstrapTokenOpensOnlyWhatJoiningNeeds(t *testing.T) {
	g := NewWithT(t)
	s := newServer(t)
	token := func(id string, expires time.Duration) {
		_, err := s.CoreV1().Secrets("kube-system").Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "bootstrap-token-" + id}, Type: corev1.SecretTypeBootstrapToken,
			StringData: map[string]string{
				"token-id": id, "token-secret": "0123456789abcdef", "usage-bootstrap-authentication": "true",
				"expiration": time.Now().Add(expires).UTC().Format(time.RFC3339),
			},
		}, metav1.CreateOptions{})
		g.Expect(err).NotTo(HaveOccurred())
	}
	token("abcdef", time.Hour)
	token("ghijkl", -time.Hour)
	_, err := s.CoreV1().ConfigMaps("kube-system").Create(ctx, configMap("kubeadm-config"), metav1.CreateOptions{})
	g.Expect(err).NotTo(HaveOccurred())
	for _, tc := range []struct {
		token, path string
		want        int
	}{
		{"abcdef.0123456789abcdef", "/api/v1/namespaces/kube-system/configmaps/kubeadm-config", http.StatusOK},
		{"abcdef.0123456789abcdef", "/api/v1/namespaces/kube-system/secrets", http.StatusForbidden},
		{"abcdef.fedcba9876543210", "/api/v1/namespaces/kube-system/configmaps/kubeadm-config", http.StatusUnauthorized},
		{"ghijkl.0123456789abcdef", "/api/v1/namespaces/kube-system/configmaps/kubeadm-config", http.StatusUnauthorized},
	} {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+tc.path, nil)
		g.Expect(err).NotTo(HaveOccurred())
		r.Header.Set("Authorization", "Bearer "+tc.token)
		response, err := http.DefaultClient.Do(r)
		g.Expect(err).NotTo(HaveOccurred())
		_, _ = io.Copy(io.Discard, response.Body)
		g.Expect(response.Body.Close()).To(Succeed())
		g.Expect(response.StatusCode).To(Equal(tc.want), "%s with %s", tc.path, tc.token)
	}
}
