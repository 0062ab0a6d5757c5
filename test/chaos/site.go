package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/fabric"
	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/meddle"
	"github.com/capstan-k8s/capstan/internal/testenv/terminal"
	"github.com/capstan-k8s/capstan/internal/trust"
)

// clustered are the hosts of the failover cluster; the others stand alone, so that
// nobody but Capstan brings up elsewhere what was on them.
const (
	clustered  = 3
	standAlone = 2
)

// failoverDelay is how long the failover cluster waits for a lost host.
const failoverDelay = "3s"

const networkName = "lan"

// site is what the storm rages in: the whole product as processes, with somebody on
// every connection between manager, API server and agents.
type site struct {
	*demoenv.Env
	screen *terminal.Screen
	api    client.Client
	// gateway is between the manager and the API server, lines between it and agents.
	gateway *meddle.Gateway
	lines   map[string]*meddle.Line
	// network is how the addresses of guests begin.
	network string
	// ours is what VMs of this installation are stamped with.
	ours string
}

// prepare opens what must be there before any process is started.
func prepare(ctx context.Context, s *settings, network string) (*site, error) {
	w := &site{screen: terminal.NewScreen(os.Stdout), network: network, lines: map[string]*meddle.Line{}}
	s.Report, s.Restart, s.Hosts = w.screen.Step, true, clustered+standAlone
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder: %w", err)
	}
	topology, err := writeTopology(s.Dir)
	if err != nil {
		return nil, err
	}
	if w.gateway, err = meddle.NewGateway(ctx, func() (*rest.Config, error) {
		return clientcmd.BuildConfigFromFlags("", w.ManagerKubeconfig())
	}); err != nil {
		return nil, err
	}
	kubeconfig, err := writeKubeconfig(s.Dir, w.gateway.URL())
	if err != nil {
		return nil, err
	}
	s.Args = map[string][]string{
		"fabric":        {"--topology=" + topology, "--failover-delay=" + failoverDelay},
		demoenv.Manager: {"--kubeconfig=" + kubeconfig},
	}
	return w, usePrograms(s)
}

func (w *site) close() {
	for _, line := range w.lines {
		_ = line.Close()
	}
	_ = w.gateway.Close()
}

// writeTopology writes which hosts there are.
func writeTopology(dir string) (string, error) {
	together, apart := fabric.DefaultTopology(clustered, false), fabric.DefaultTopology(clustered+standAlone, true)
	together.Hosts = append(together.Hosts, apart.Hosts[clustered:]...)
	for i := range together.Hosts[clustered:] {
		host := &together.Hosts[clustered+i]
		host.Volumes = slices.Clone(host.Volumes[:2])
		for j := range host.Volumes {
			host.Volumes[j].Name = fmt.Sprintf("local%d", j+1)
		}
	}
	text, err := yaml.Marshal(together)
	if err != nil {
		return "", fmt.Errorf("writing the topology: %w", err)
	}
	return write(dir, "topology.yaml", text)
}

// writeKubeconfig writes the way to the gateway, which has the manager's identity.
func writeKubeconfig(dir, server string) (string, error) {
	config := clientcmdapi.NewConfig()
	config.Clusters["gateway"] = &clientcmdapi.Cluster{Server: server}
	config.Contexts["gateway"] = &clientcmdapi.Context{Cluster: "gateway"}
	config.CurrentContext = "gateway"
	text, err := clientcmd.Write(*config)
	if err != nil {
		return "", fmt.Errorf("writing the manager's kubeconfig: %w", err)
	}
	return write(dir, "gateway.kubeconfig", text)
}

func write(dir, name string, text []byte) (string, error) {
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err == nil {
		err = os.WriteFile(path, text, 0o600)
	}
	if err != nil {
		return "", fmt.Errorf("writing %s: %w", name, err)
	}
	return path, nil
}

// start brings everything up, with networks, images and namespaces for the user.
func (w *site) start(ctx context.Context, env *demoenv.Env) error {
	w.Env = env
	w.screen.Begin(fmt.Sprintf("A management cluster, %d hosts in a failover cluster and %d that stand alone", clustered, standAlone))
	if err := env.Start(ctx); err != nil {
		return err
	}
	var err error
	if w.api, err = env.Client(); err != nil {
		return err
	}
	if w.ours, err = trust.Installation(ctx, w.api); err != nil {
		return err
	}
	return w.layLines(ctx)
}

// layLines has the manager reach each agent over a line that can be meddled with.
func (w *site) layLines(ctx context.Context) error {
	hosts := &capstanv1.HyperVHostList{}
	if err := w.api.List(ctx, hosts); err != nil {
		return fmt.Errorf("listing the hosts: %w", err)
	}
	for i := range hosts.Items {
		host := &hosts.Items[i]
		line, err := meddle.NewLine(ctx, host.Spec.Endpoint)
		if err != nil {
			return err
		}
		w.lines[host.Name] = line
		before := host.DeepCopy()
		host.Spec.Endpoint = line.Address()
		if err := w.api.Patch(ctx, host, client.MergeFrom(before)); err != nil {
			return fmt.Errorf("leading HyperVHost %s over a line: %w", host.Name, err)
		}
	}
	return nil
}

// provisions are what an administrator makes for users.
func (w *site) provisions() ([]client.Object, error) {
	var objects []client.Object
	for _, namespace := range namespaces {
		objects = append(objects, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	objects = append(objects, demoenv.Network(networkName, w.network))
	for _, os := range []capstanv1.OS{capstanv1.OSLinux, capstanv1.OSWindows} {
		for _, version := range []string{firstVersion, nextVersion} {
			image, err := demoenv.NodeImage(os, version)
			if err != nil {
				return nil, err
			}
			objects = append(objects, image)
		}
	}
	return objects, nil
}

func (w *site) provide(ctx context.Context) error {
	objects, err := w.provisions()
	if err != nil {
		return err
	}
	for _, object := range objects {
		if err := w.api.Create(ctx, object); err != nil {
			return fmt.Errorf("providing %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

// withdraw deletes what was provided, the namespaces last.
func (w *site) withdraw(ctx context.Context) error {
	objects, err := w.provisions()
	if err != nil {
		return err
	}
	var errs []error
	for _, object := range slices.Backward(objects) {
		errs = append(errs, client.IgnoreNotFound(w.api.Delete(ctx, object)))
	}
	return errors.Join(errs...)
}
