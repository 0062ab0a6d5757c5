package demoenv

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
	"github.com/capstan-k8s/capstan/internal/pki"
)

// startHosts installs an agent on each host and makes the hosts known.
func (e *Env) startHosts(ctx context.Context) error {
	ports, err := freePorts(ctx, e.Hosts)
	if err != nil {
		return err
	}
	api, err := e.Client()
	if err != nil {
		return err
	}
	for i, port := range ports {
		name := fmt.Sprintf("hv%d", i+1)
		token := pki.NewToken()
		file := filepath.Join(e.path("agents"), name+".token")
		if err := os.WriteFile(file, []byte(token.Reveal()), 0o600); err != nil {
			return fmt.Errorf("writing the enrolment token of %s: %w", name, err)
		}
		if err := e.startAgent(name, hostPort(port)); err != nil {
			return err
		}
		for _, object := range hostObjects(name, hostPort(port), token) {
			if err := api.Create(ctx, object); err != nil {
				return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
			}
		}
	}
	return e.waitHosts(ctx, api)
}

func hostObjects(name, endpoint string, token pki.Token) []client.Object {
	secret := name + "-enrolment"
	return []client.Object{
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: secret, Namespace: Namespace},
			StringData: map[string]string{"token": token.Reveal()},
		},
		&capstanv1.HyperVHost{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec:       capstanv1.HyperVHostSpec{Endpoint: endpoint, EnrolmentTokenSecret: secret},
		},
	}
}

func (e *Env) startAgent(name, address string) error {
	host, err := e.physical.boot(name)
	if err != nil {
		return err
	}
	p, err := e.run(agentPrefix+name, e.binary("dev-agent"), append([]string{
		"--name=" + name, "--listen=" + address, "--state-dir=" + filepath.Join("agents", name),
		"--enrol-token-file=" + filepath.Join("agents", name+".token"),
	}, host...)...)
	if err != nil {
		return err
	}
	e.Agents[name] = p
	return nil
}

// RestartAgent starts the agent of a host again, as it was started before.
func (e *Env) RestartAgent(name string) error {
	again, err := e.again(e.Agents[name])
	if err != nil {
		return err
	}
	e.Agents[name] = again
	return nil
}

func (e *Env) waitHosts(ctx context.Context, api client.Client) error {
	var waiting string
	err := wait.PollUntilContextCancel(ctx, answerInterval, true, func(ctx context.Context) (bool, error) {
		hosts := &capstanv1.HyperVHostList{}
		if err := api.List(ctx, hosts); err != nil {
			return false, err
		}
		waiting = ""
		for i := range hosts.Items {
			if ready := ReadyOf(&hosts.Items[i]); ready.Status != metav1.ConditionTrue {
				waiting += fmt.Sprintf("\n  HyperVHost %s: %s: %s", hosts.Items[i].Name, ready.Reason, ready.Message)
			}
		}
		return waiting == "", e.failure()
	})
	if err != nil {
		return fmt.Errorf("waiting until all hosts are Ready: %w%s", err, waiting)
	}
	return nil
}
