package demoenv

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// startAPIServer starts etcd and the management API server, and makes the
// kubeconfigs of all who use it.
func (e *Env) startAPIServer(ctx context.Context) error {
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return err
	}
	pki, err := newAuthority(e.path("pki"))
	if err != nil {
		return err
	}
	server, err := pki.issue("kube-apiserver")
	if err != nil {
		return err
	}
	for file, data := range map[string][]byte{"server.crt": server.certificate, "server.key": server.key} {
		if err := pki.write(file, data); err != nil {
			return err
		}
	}
	e.server = "https://" + hostPort(ports[2])
	if err := e.writeKubeconfigs(pki); err != nil {
		return err
	}
	client, peer := "http://"+hostPort(ports[0]), "http://"+hostPort(ports[1])
	if _, err := e.run("etcd", e.asset("etcd"),
		fmt.Sprintf("--unsafe-no-fsync=%t", !e.Fsync), "--data-dir="+e.path("etcd"), "--listen-client-urls="+client, "--advertise-client-urls="+client,
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer); err != nil {
		return err
	}
	if _, err := e.run("kube-apiserver", e.asset("kube-apiserver"),
		"--etcd-servers="+client, "--bind-address="+loopback, "--advertise-address="+loopback, fmt.Sprintf("--secure-port=%d", ports[2]),
		"--tls-cert-file="+pki.file("server.crt"), "--tls-private-key-file="+pki.file("server.key"),
		"--client-ca-file="+pki.file("ca.crt"), "--authorization-mode=RBAC", "--cert-dir="+e.path("pki"),
		"--service-account-issuer="+e.server, "--service-account-key-file="+pki.file("server.crt"),
		"--service-account-signing-key-file="+pki.file("server.key"), "--service-cluster-ip-range=10.96.0.0/16",
		// Endpoints may not be on loopback, so it cannot point at itself; nobody asks.
		"--endpoint-reconciler-type=none",
		// Nothing runs in this cluster that would need an account.
		"--disable-admission-plugins=ServiceAccount"); err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", e.Kubeconfig())
	if err != nil {
		return fmt.Errorf("reading %s: %w", e.Kubeconfig(), err)
	}
	config.QPS, config.Burst = 100, 200
	e.Config = config
	return e.waitAnswers(ctx, config, "/readyz", "the management API server")
}

// startControllerManager starts the garbage collector and the namespace
// controller, which clean up after deleted owners. It learns of new kinds every
// half minute only, so it is started when all are there.
func (e *Env) startControllerManager() error {
	_, err := e.run("kube-controller-manager", e.asset("kube-controller-manager"),
		"--kubeconfig="+e.path("controller-manager.kubeconfig"), "--leader-elect=false", "--secure-port=0",
		"--controllers=garbage-collector-controller,namespace-controller,clusterrole-aggregation-controller")
	return err
}

// managerUser is who a manager in the cluster would be, so that it may do here
// what it may do there.
const managerUser = "system:serviceaccount:" + Namespace + ":capstan-manager"

func (e *Env) writeKubeconfigs(pki *authority) error {
	for file, user := range map[string]struct{ name, group string }{
		e.Kubeconfig():                          {"admin", "system:masters"},
		e.path("controller-manager.kubeconfig"): {"system:kube-controller-manager", "system:masters"},
		e.path("manager.kubeconfig"):            {managerUser, "system:serviceaccounts"},
	} {
		id, err := pki.issue(user.name, user.group)
		if err != nil {
			return err
		}
		config := clientcmdapi.NewConfig()
		config.Clusters["capstan"] = &clientcmdapi.Cluster{Server: e.server, CertificateAuthorityData: pki.bundle()}
		config.AuthInfos[user.name] = &clientcmdapi.AuthInfo{ClientCertificateData: id.certificate, ClientKeyData: id.key}
		config.Contexts["capstan"] = &clientcmdapi.Context{Cluster: "capstan", AuthInfo: user.name}
		config.CurrentContext = "capstan"
		if err := clientcmd.WriteToFile(*config, file); err != nil {
			return fmt.Errorf("writing %s: %w", file, err)
		}
	}
	return nil
}

const answerInterval = 100 * time.Millisecond

// waitAnswers waits until a path of a server answers with 200. It gives up when a
// process ends, for then nothing will.
func (e *Env) waitAnswers(ctx context.Context, config *rest.Config, path, what string) error {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("reaching %s: %w", what, err)
	}
	var last string
	err = wait.PollUntilContextCancel(ctx, answerInterval, true, func(ctx context.Context) (bool, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(config.Host, "/")+path, nil)
		if err != nil {
			return false, err
		}
		response, err := client.Do(request)
		if err != nil {
			last = err.Error()
			return false, e.failure()
		}
		last = response.Status
		return response.StatusCode == http.StatusOK, response.Body.Close()
	})
	if err != nil {
		return fmt.Errorf("waiting until %s answers (last: %s): %w", what, last, err)
	}
	return nil
}
