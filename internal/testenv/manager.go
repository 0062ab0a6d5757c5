package testenv

import (
	"context"
	"os"
	"runtime/pprof"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/capstan-k8s/capstan/internal/pacing"
)

// workers is how many objects a controller works on at a time.
const workers = 8

// pace lets objects rest as in the manager that is deployed, but for no longer than
// tests notice.
var pace = pacing.Pace{PerObject: time.Millisecond, Longest: 20 * time.Millisecond}

// Reconciler is what every controller of Capstan can do.
type Reconciler interface {
	SetupWithManager(ctx context.Context, mgr manager.Manager, options controller.Options) error
}

// Controller returns the options of controllers of a suite. Their queues are those of
// the manager that is deployed.
func Controller() controller.Options {
	return controller.Options{MaxConcurrentReconciles: workers, NewQueue: pace.NewQueue()}
}

// RunReconcilers runs a manager, as RunManager does, with the reconcilers that are
// made for it.
func (e *Env) RunReconcilers(t T, reconcilers func(manager.Manager) []Reconciler) {
	t.Helper()
	e.RunManager(t, func(ctx context.Context, mgr manager.Manager) error {
		for _, r := range reconcilers(mgr) {
			if err := r.SetupWithManager(ctx, mgr, Controller()); err != nil {
				return err
			}
		}
		return nil
	})
}

// RunManager runs a manager with what add adds to it, until the end of the test or
// suite. It returns once the caches are filled.
func (e *Env) RunManager(t T, add func(context.Context, manager.Manager) error) {
	t.Helper()
	unnamed := true
	options := manager.Options{
		WebhookServer: e.webhookServer(),
		Scheme:        e.Scheme,
		Logger:        e.Log,
		Metrics:       metricsserver.Options{BindAddress: "0"},
		// Several managers of one suite may have controllers of one name.
		Controller: config.Controller{SkipNameValidation: &unnamed},
	}
	if e.configure != nil {
		must(t, "configuring the manager for Cluster API", e.configure(&options))
	}
	mgr, err := manager.New(e.Config, options)
	must(t, "making a manager", err)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	must(t, "adding to the manager", add(ctx, mgr))
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		err := <-ended
		if err != nil {
			// What did not end in time is still there: it is seen here or never.
			_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		}
		must(t, "running the manager", err)
	})
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		t.Fatalf("the manager's caches were not filled")
	}
	e.awaitWebhooks(t, mgr)
}
