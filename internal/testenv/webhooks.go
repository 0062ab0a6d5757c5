package testenv

import (
	"net"
	"path/filepath"
	"strconv"

	"github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
)

// WithWebhooks registers Capstan's admission webhooks as config/webhook does. They
// are served by the manager that RunManager runs.
func WithWebhooks(t T) Option {
	t.Helper()
	root, err := repositoryRoot()
	must(t, "finding config/webhook", err)
	return func(_ *Env, server *envtest.Environment) {
		for _, file := range []string{"manifests.yaml", "protection.yaml"} {
			server.WebhookInstallOptions.Paths = append(server.WebhookInstallOptions.Paths, filepath.Join(root, "config", "webhook", file))
		}
	}
}

// WithClusterAPI registers Cluster API's kinds and admission webhooks, too, and lets
// RunManager make managers that its reconcilers can be added to. What does so is
// passed in, as few suites need it and all would have to link it.
func WithClusterAPI(t T, addToScheme func(*runtime.Scheme) error, configure func(*manager.Options) error) Option {
	t.Helper()
	root, err := repositoryRoot()
	must(t, "finding config/capi", err)
	return func(e *Env, server *envtest.Environment) {
		must(t, "registering the kinds of Cluster API", addToScheme(e.Scheme))
		e.configure = configure
		server.WebhookInstallOptions.Paths = append(server.WebhookInstallOptions.Paths, filepath.Join(root, "config", "capi", "webhook", "manifests.yaml"))
	}
}

// webhookServer is nil, which is the default, where no webhook is registered.
func (e *Env) webhookServer() webhook.Server {
	if len(e.webhooks.Paths) == 0 {
		return nil
	}
	return webhook.NewServer(webhook.Options{
		Host: e.webhooks.LocalServingHost, Port: e.webhooks.LocalServingPort, CertDir: e.webhooks.LocalServingCertDir,
	})
}

func (e *Env) awaitWebhooks(t T, mgr manager.Manager) {
	t.Helper()
	if len(e.webhooks.Paths) == 0 {
		return
	}
	address := net.JoinHostPort(e.webhooks.LocalServingHost, strconv.Itoa(e.webhooks.LocalServingPort))
	g := gomega.NewGomega(func(message string, _ ...int) { t.Fatalf("%s", message) })
	started := mgr.GetWebhookServer().StartedChecker()
	g.Eventually(func() error { return started(nil) }).Should(gomega.Succeed(), "the webhook server at %s", address)
}
