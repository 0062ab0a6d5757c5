// The manager of Capstan: it runs Capstan's controllers and admission, and
// Cluster API's, in one process.
package main

import (
	"flag"
	"fmt"
	"os"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/capstan-k8s/capstan/controllers"
	"github.com/capstan-k8s/capstan/internal/buildinfo"
)

func main() {
	options := controllers.DefaultOptions()
	printVersion := options.AddFlags(flag.CommandLine)
	flag.Usage = usage
	flag.Parse()
	if *printVersion {
		fmt.Println("capstan", buildinfo.Version())
		return
	}
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "capstan: unexpected argument %q; see capstan --help\n", flag.Arg(0))
		os.Exit(2)
	}
	log := options.Logger()
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	if err := controllers.Run(ctrl.SetupSignalHandler(), options); err != nil {
		log.Error(err, "the manager stops")
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprint(flag.CommandLine.Output(), `capstan builds, scales, heals and removes Kubernetes clusters on Hyper-V hosts.

Usage: capstan [flags]

It runs against the management cluster of --kubeconfig, or of the pod it is in.
Capstan's CRDs and webhook configurations must be installed there (config/default).

Flags:
`)
	flag.PrintDefaults()
}
