package testenv

import (
	"context"
	"os"
	"time"

	"github.com/go-logr/logr"
	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	controlplanev1 "sigs.k8s.io/cluster-api/api/controlplane/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"
	ipamv1 "sigs.k8s.io/cluster-api/api/ipam/v1beta2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// ManagerNamespace is the manager's own namespace. Every Env has it.
const ManagerNamespace = "capstan-system"

// patience is how long an API server may take to start or stop. A busy machine needs
// more than the usual 20 s, and one that was given up is started from the beginning.
const patience = 2 * time.Minute

// T is a testing.TB or a GinkgoT().
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Env is an API server that runs until the end of the test or suite.
type Env struct {
	Config *rest.Config
	Scheme *runtime.Scheme
	// Client reads and writes with no cache.
	Client client.Client
	// Log is what managers log to, nothing unless a test sets it.
	Log logr.Logger

	webhooks  *envtest.WebhookInstallOptions
	configure func(*manager.Options) error
}

// Option changes how an Env is started.
type Option func(*Env, *envtest.Environment)

// Start starts an API server. Assertions of the suite wait long enough for a busy
// machine.
func Start(t T, options ...Option) *Env {
	t.Helper()
	gomega.SetDefaultEventuallyTimeout(20 * time.Second)
	gomega.EnforceDefaultTimeoutsWhenUsingContexts()
	gomega.SetDefaultEventuallyPollingInterval(20 * time.Millisecond)
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatalf("KUBEBUILDER_ASSETS is not set: these tests need kube-apiserver and etcd. " +
			"make test builds both and sets it; by hand, name the folder that holds them")
	}
	ctrl.SetLogger(logr.Discard())
	e := &Env{Scheme: runtime.NewScheme()}
	must(t, "registering kinds", addKinds(e.Scheme))
	crds, err := readCRDs()
	must(t, "reading custom resource definitions", err)
	server := &envtest.Environment{
		Scheme: e.Scheme, CRDs: crds, CRDInstallOptions: envtest.CRDInstallOptions{MaxTime: patience},
		ControlPlaneStartTimeout: patience, ControlPlaneStopTimeout: patience,
	}
	for _, option := range options {
		option(e, server)
	}
	// What of it runs is stopped, too, where not all of it has started.
	t.Cleanup(func() { must(t, "stopping the API server", server.Stop()) })
	e.Config, err = server.Start()
	must(t, "starting the API server", err)
	e.webhooks = &server.WebhookInstallOptions
	// Tests wait for results, not for turns, and ask for warnings that they want.
	e.Config.QPS = -1
	e.Config.WarningHandler = rest.NoWarnings{}
	e.Client, err = client.New(e.Config, client.Options{Scheme: e.Scheme})
	must(t, "making a client", err)
	must(t, "creating the manager's namespace", e.Client.Create(context.Background(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ManagerNamespace}}))
	return e
}

// Namespace creates a namespace that no other test uses.
func (e *Env) Namespace(ctx context.Context, t T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	must(t, "creating a namespace", e.Client.Create(ctx, namespace))
	return namespace.Name
}

// addKinds registers what our controllers work with. Package capi registers more, and
// brings all of Cluster API into each program that imports it.
func addKinds(scheme *runtime.Scheme) error {
	kinds := runtime.NewSchemeBuilder(
		clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme,
		clusterv1.AddToScheme, bootstrapv1.AddToScheme, controlplanev1.AddToScheme, ipamv1.AddToScheme,
		capstanv1.AddToScheme, infrav1.AddToScheme,
	)
	return kinds.AddToScheme(scheme)
}

func must(t T, doing string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", doing, err)
	}
}
