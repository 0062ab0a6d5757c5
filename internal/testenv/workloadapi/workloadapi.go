package workloadapi

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/go-logr/logr"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/kubeapi"
	"github.com/capstan-k8s/capstan/internal/testenv"
)

// Start starts an API server that has these namespaces and takes everybody for its
// administrator, until the test ends.
func Start(t testing.TB, namespaces ...string) *rest.Config {
	t.Helper()
	handler := kubeapi.NewServer(kubeapi.Options{
		Store: kubeapi.NewStore(clock.RealClock{}, nil), Clock: clock.RealClock{}, Log: logr.Discard(), Version: testenv.Version,
		Available: func() error { return nil },
		Sign: func(*x509.CertificateRequest, *certificatesv1.CertificateSigningRequest) ([]byte, error) {
			return nil, errors.New("nothing is signed here")
		},
		DialPod: func(context.Context, string, string, string) (net.Conn, error) {
			return nil, errors.New("there are no pods")
		},
	})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// An administrator's certificate without the trouble of TLS.
		r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{{Subject: pkix.Name{CommonName: "kubernetes-admin"}}}}}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		web.CloseClientConnections()
		web.Close()
	})
	config := &rest.Config{Host: web.URL, QPS: -1}
	api := kubernetes.NewForConfigOrDie(config)
	for _, name := range namespaces {
		namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := api.CoreV1().Namespaces().Create(context.Background(), namespace, metav1.CreateOptions{}); err != nil {
			t.Fatalf("make namespace %s of a workload cluster: %v", name, err)
		}
	}
	return config
}
