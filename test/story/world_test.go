package story

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// The top of the repository, seen from here.
const top = "../.."

var (
	dir      = flag.String("dir", top+"/.story", "`folder` of all that runs; it stays until the next run")
	binaries = flag.String("bin", top+"/bin", "`folder` of the programs of make build")
)

const (
	hosts        = 3
	bootTime     = 2 * time.Second
	startsIn     = 3 * time.Minute
	testdata     = "testdata"
	testdataNet  = "127.64."
	shopManifest = "shop.yaml"
)

// world is the environment of the story.
type world struct {
	env *demoenv.Env
	ctx context.Context
	api client.WithWatch
	// manifests is a copy of those in testdata, in a network of their own.
	manifests string
	// retried counts commands that the API server refused because the manager's
	// webhooks were down.
	retried int
}

// startWorld brings everything up; it ends with the test, and the context as soon
// as a process ends by itself.
func startWorld(t *testing.T) *world {
	t.Helper()
	g := NewWithT(t)
	ctrllog.SetLogger(logr.Discard())
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	g.Expect(assets).NotTo(BeEmpty(), "KUBEBUILDER_ASSETS names no folder: run hack/story.sh")

	// The network is taken before anything is started and freed after all has ended.
	manifests := ownManifests(t)
	env, err := demoenv.New(demoenv.Options{
		Dir: *dir, Source: top, Binaries: *binaries, Assets: assets, Hosts: hosts, BootTime: bootTime,
		Report: func(line string) { t.Log(line) },
	})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(env.Stop)
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	go func() {
		select {
		case err := <-env.Failed():
			cancel(err)
		case <-ctx.Done():
		}
	}()
	starting, started := context.WithTimeout(ctx, startsIn)
	defer started()
	g.Expect(errors.Join(env.Start(starting), context.Cause(ctx))).To(Succeed())

	scheme, err := demoenv.NewScheme()
	g.Expect(err).NotTo(HaveOccurred())
	api, err := client.NewWithWatch(env.Config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	return &world{env: env, ctx: ctx, api: api, manifests: manifests}
}

// ownManifests copies the manifests, with a network that no demo on this machine
// uses, so that both can run at once.
func ownManifests(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	network := ownNetwork(t)
	copied := t.TempDir()
	files, err := filepath.Glob(filepath.Join(testdata, "*.yaml"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).NotTo(BeEmpty())
	for _, file := range files {
		text, err := os.ReadFile(file)
		g.Expect(err).NotTo(HaveOccurred())
		own := strings.ReplaceAll(string(text), testdataNet, network)
		g.Expect(os.WriteFile(filepath.Join(copied, filepath.Base(file)), []byte(own), 0o600)).To(Succeed())
	}
	return copied
}

// ownNetwork returns the beginning of the addresses of a /16 of loopback. A
// listener keeps others that run this test from taking the same.
func ownNetwork(t *testing.T) string {
	t.Helper()
	for second := 65; second < 127; second++ {
		claim, err := net.Listen("tcp", fmt.Sprintf("127.%d.0.1:6443", second))
		if err != nil {
			continue
		}
		t.Cleanup(func() { _ = claim.Close() })
		return fmt.Sprintf("127.%d.", second)
	}
	t.Fatal("all networks of loopback are taken")
	return ""
}

func (w *world) kubeconfig() string { return filepath.Join(w.env.Dir, "shop.kubeconfig") }

// kubectl runs a command as a person would. While the manager is down its webhooks
// are, and the API server refuses what they must see; then a person tries again.
func (w *world) kubectl(g Gomega, args ...string) string {
	var output string
	g.Eventually(func() error {
		var err error
		output, err = w.env.RunKubectl(w.ctx, args...)
		if err != nil && !strings.Contains(err.Error(), "failed calling webhook") {
			return StopTrying("this is no webhook that is down").Wrap(err)
		}
		if err != nil {
			w.retried++
		}
		return err
	}).WithTimeout(patience).WithPolling(time.Second).Should(Succeed())
	return output
}
