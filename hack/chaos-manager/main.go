// Command chaos-manager is the manager for test/chaos: one whose clock can be set. What
// it goes by the clock of is Capstan's own; Cluster API and the libraries that speak with
// API servers read the machine's.
package main

import (
	"flag"
	"os"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capstan-k8s/capstan/controllers"
	"github.com/capstan-k8s/capstan/internal/testenv/wallclock"
)

func main() {
	clock := &wallclock.Clock{}
	options := controllers.DefaultOptions()
	options.Clock = clock
	options.AddFlags(flag.CommandLine)
	flag.StringVar(&clock.File, "clock-offset-file", "", "`file` with an offset such as -26h, which the manager's clock takes over and then removes")
	flag.Parse()
	log := options.Logger()
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	if err := controllers.Run(ctrl.SetupSignalHandler(), options); err != nil {
		log.Error(err, "the manager stops")
		os.Exit(1)
	}
}
