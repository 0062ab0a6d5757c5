package demoenv

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"k8s.io/client-go/rest"
)

func (e *Env) linkKubectl() error {
	if err := os.Symlink(e.asset("kubectl"), e.Kubectl()); err != nil {
		return fmt.Errorf("providing kubectl: %w", err)
	}
	return nil
}

// Kubectl is the kubectl that fits the API server.
func (e *Env) Kubectl() string { return filepath.Join(e.path("bin"), "kubectl") }

// RunKubectl runs kubectl as a person at the top of the repository would, and
// returns what it printed.
func (e *Env) RunKubectl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, e.Kubectl(), append([]string{"--cache-dir=" + e.path("cache")}, args...)...)
	cmd.Dir = e.Source
	cmd.Env = append(os.Environ(), "KUBECONFIG="+e.Kubeconfig())
	// A terminal's Ctrl-C is the demo's to answer.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("kubectl %q: %w\n%s", args, err, stderr.String())
	}
	return stdout.String(), nil
}

// install applies what the management cluster must know before the manager
// starts.
func (e *Env) install(ctx context.Context) error {
	if _, err := e.RunKubectl(ctx, "apply", "--server-side", "-k", "config/default"); err != nil {
		return err
	}
	if _, err := e.RunKubectl(ctx, "wait", "--for=condition=Established", "crd", "--selector=app.kubernetes.io/part-of=capstan"); err != nil {
		return err
	}
	return e.startControllerManager()
}

// StartManager starts the manager, at first or again, and waits until it is
// ready.
func (e *Env) StartManager(ctx context.Context) error {
	ports, err := freePorts(ctx, 2)
	if err != nil {
		return err
	}
	webhooks, probes := hostPort(ports[0]), hostPort(ports[1])
	e.Manager, err = e.run(managerName, e.binary("capstan"),
		"--kubeconfig="+e.path("manager.kubeconfig"), "--namespace="+Namespace, "--metrics-bind-address=0",
		"--health-probe-bind-address="+probes, "--webhook-host="+loopback, fmt.Sprintf("--webhook-port=%d", ports[0]),
		"--webhook-base-url=https://"+webhooks)
	if err != nil {
		return err
	}
	return e.waitAnswers(ctx, &rest.Config{Host: "http://" + probes}, "/readyz", "the manager")
}
