package capi_test

import (
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/cluster-api/controllers/clustercache"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/capstan-k8s/capstan/internal/capi"
	"github.com/capstan-k8s/capstan/internal/pacing"
	"github.com/capstan-k8s/capstan/internal/servingcert"
)

func TestEmbeddedClusterAPI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "Embedded Cluster API")
}

// The API server and the manager that all specs share, as users do.
var (
	apiServer *envtest.Environment
	k8s       client.Client
	clusters  clustercache.ClusterCache
	keeper    *servingcert.Keeper
	clock     *clocktesting.FakeClock
	webhooks  string
	asked     *asking
)

var _ = BeforeSuite(func() {
	SetDefaultEventuallyTimeout(30 * time.Second)
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	ctrl.SetLogger(logr.Discard())

	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		Fail("KUBEBUILDER_ASSETS is not set: these specs need kube-apiserver and etcd. " +
			"make test builds both and sets it; by hand, name the folder that holds them.")
	}
	scheme := runtime.NewScheme()
	Expect(capi.AddToScheme(scheme)).To(Succeed())

	apiServer = &envtest.Environment{Scheme: scheme}
	config, err := apiServer.Start()
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(apiServer.Stop()).To(Succeed()) })

	k8s, err = client.New(config, client.Options{Scheme: scheme})
	Expect(err).NotTo(HaveOccurred())
	Expect(k8s.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "capstan-system"}})).To(Succeed())
	installCRDs()
	applyManifest(manifests("webhook", "manifests.yaml"))

	startManager(scheme)
})

// startManager brings the manager up as main does, every part of it.
func startManager(scheme *runtime.Scheme) {
	ctx, stop := context.WithCancel(context.Background())
	port := freePort()
	webhooks = net.JoinHostPort("127.0.0.1", strconv.Itoa(port))

	// The API server's clock cannot be turned, so the first certificate is made in
	// a past from which it is still valid, and due for renewal now.
	clock = clocktesting.NewFakeClock(time.Now().Add(servingcert.RenewBefore - servingcert.Lifetime))
	var err error
	keeper, err = servingcert.New(servingcert.Options{Client: k8s, Clock: clock, BaseURL: "https://" + webhooks})
	Expect(err).NotTo(HaveOccurred())
	Expect(keeper.Ensure(ctx)).To(Succeed())

	asked = &asking{Server: webhook.NewServer(webhook.Options{
		Host: "127.0.0.1", Port: port, TLSOpts: []func(*tls.Config){keeper.ConfigureTLS},
	})}
	options := ctrl.Options{
		Scheme:                 scheme,
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
		WebhookServer:          asked,
	}
	Expect(capi.RequireCRDs(ctx, k8s)).To(Succeed())
	Expect(capi.RefuseForeign(ctx, k8s)).To(Succeed())
	Expect(capi.ConfigureManager(&options)).To(Succeed())
	mgr, err := ctrl.NewManager(apiServer.Config, options)
	Expect(err).NotTo(HaveOccurred())
	Expect(mgr.Add(keeper)).To(Succeed())
	clusters, err = capi.SetupReconcilers(ctx, mgr, capi.Options{
		ConnectionRetryInterval: 200 * time.Millisecond,
		NewQueue:                pacing.Pace{}.NewQueue(), NewPromptQueue: pacing.Pace{}.NewQueue(),
	})
	Expect(err).NotTo(HaveOccurred())
	Expect(capi.SetupWebhooks(mgr, clusters)).To(Succeed())

	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	DeferCleanup(func() {
		stop()
		Eventually(ended).Should(Receive(BeNil()))
	})
	Expect(mgr.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
	Eventually(func() error { return mgr.GetWebhookServer().StartedChecker()(nil) }).Should(Succeed())
}

func manifests(elements ...string) string {
	return filepath.Join(append([]string{"..", "..", "config", "capi"}, elements...)...)
}
