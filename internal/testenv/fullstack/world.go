package fullstack

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

const (
	bootTime = 2 * time.Second
	startsIn = 3 * time.Minute
)

// Options say what is brought up.
type Options struct {
	// Dir is the folder of all that runs. It stays until the next run.
	Dir string
	// Top is that of the repository, Binaries has the programs of make build.
	Top, Binaries string
	// Manifests is a folder, of which World has a copy in a network of its own.
	Manifests string
	// Hosts is how many hosts there are.
	Hosts int
	// Patience is how long a command may be tried again.
	Patience time.Duration
	// Args are given to a process of this name besides the usual ones.
	Args map[string][]string
}

// top is that of the repository, seen from a suite under test/.
const top = "../.."

// AddFlags adds the flags of a suite, and returns the options that they set. All that
// runs is by default in a folder of this name at the top of the repository.
func AddFlags(dir string) *Options {
	o := &Options{Top: top}
	flag.StringVar(&o.Dir, "dir", filepath.Join(top, dir), "`folder` of all that runs; it stays until the next run")
	flag.StringVar(&o.Binaries, "bin", filepath.Join(top, "bin"), "`folder` of the programs of make build")
	return o
}

// World is what runs.
type World struct {
	Env *demoenv.Env
	// Ctx ends with the test, and as soon as a process ends by itself.
	Ctx context.Context
	API client.WithWatch
	// Manifests is a copy in a network of its own.
	Manifests string
	// Retried counts commands that the API server refused because the manager's
	// webhooks were down.
	Retried int

	patience time.Duration
}

// Start brings everything up; it ends with the test.
func Start(t *testing.T, o Options) *World {
	t.Helper()
	g := NewWithT(t)
	ctrllog.SetLogger(logr.Discard())
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	g.Expect(assets).NotTo(BeEmpty(), "KUBEBUILDER_ASSETS names no folder: use the script of this test under hack/")

	// The network is taken before anything is started and freed after all has ended.
	manifests := ownManifests(t, o.Manifests)
	env, err := demoenv.New(demoenv.Options{
		Dir: o.Dir, Source: o.Top, Binaries: o.Binaries, Assets: assets, Hosts: o.Hosts, BootTime: bootTime, Args: o.Args,
		Report: func(line string) { t.Log(line) },
	})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(env.Stop()).To(Succeed()) })
	ctx, cancel := env.WhileWell(t.Context())
	t.Cleanup(cancel)
	starting, started := context.WithTimeout(ctx, startsIn)
	defer started()
	g.Expect(errors.Join(env.Start(starting), context.Cause(ctx))).To(Succeed())

	scheme, err := demoenv.NewScheme()
	g.Expect(err).NotTo(HaveOccurred())
	api, err := client.NewWithWatch(env.Config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	return &World{Env: env, Ctx: ctx, API: api, Manifests: manifests, patience: o.Patience}
}

// Kubectl runs a command as a person would. While the manager is down its webhooks
// are, and the API server refuses what they must see; then a person tries again.
func (w *World) Kubectl(g Gomega, args ...string) string {
	var output string
	g.Eventually(func() error {
		var err error
		output, err = w.Env.RunKubectl(w.Ctx, args...)
		if err != nil && !strings.Contains(err.Error(), "failed calling webhook") {
			return StopTrying("this is no webhook that is down").Wrap(err)
		}
		if err != nil {
			w.Retried++
		}
		return err
	}).WithTimeout(w.patience).WithPolling(time.Second).Should(Succeed())
	return output
}

// Kubeconfig writes the kubeconfig of a cluster, as its Secret has it, and returns
// the file.
func (w *World) Kubeconfig(g Gomega, cluster client.ObjectKey) string {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: cluster.Namespace, Name: cluster.Name + "-kubeconfig"}
	g.Expect(w.API.Get(w.Ctx, key, secret)).To(Succeed())
	file := filepath.Join(w.Env.Dir, cluster.Name+".kubeconfig")
	g.Expect(os.WriteFile(file, secret.Data["value"], 0o600)).To(Succeed())
	return file
}
