package probe

import (
	"context"
	"fmt"
	"io"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// asker sends one request and returns what is wrong with its answer.
type asker func(context.Context) error

// asker asks whoever is to be asked over connections of one kind.
func (o Options) asker(kind Kind) (asker, error) {
	if o.URL != "" {
		return o.askWeb(kind), nil
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(o.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("probing an API server: reading its kubeconfig: %w", err)
	}
	client, err := restClient(config, kind)
	if err != nil {
		return nil, fmt.Errorf("probing %s: %w", config.Host, err)
	}
	// What is read is kept in etcd.
	return func(ctx context.Context) error {
		return client.Get().Resource("nodes").Param("limit", "1").Do(ctx).Error()
	}, nil
}

// restClient is what kubectl reaches the API server with: the same transport and the
// same retries, which are of reads on connections that broke, and of nothing
// else.
func restClient(config *rest.Config, kind Kind) (*rest.RESTClient, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion, config.APIPath = &corev1.SchemeGroupVersion, "/api"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	config.QPS = -1
	config.UserAgent = userAgent(kind)
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, err
	}
	transport := utilnet.SetTransportDefaults(&http.Transport{TLSClientConfig: tlsConfig, DisableKeepAlives: kind == NewConnection})
	wire, err := rest.HTTPWrappersForConfig(config, transport)
	if err != nil {
		return nil, err
	}
	return rest.RESTClientForConfigAndClient(config, &http.Client{Transport: wire})
}

func userAgent(kind Kind) string { return "capstan-probe (" + string(kind) + ")" }

// maxAnswer is how much of an answer is read.
const maxAnswer = 1 << 16

// askWeb asks what stands behind a URL, as a browser or curl would.
func (o Options) askWeb(kind Kind) asker {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: kind == NewConnection}}
	return func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL, nil)
		if err != nil {
			return err
		}
		request.Header.Set("User-Agent", userAgent(kind))
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
		switch {
		case err != nil:
			return fmt.Errorf("reading the answer: %w", err)
		case response.StatusCode != http.StatusOK:
			return fmt.Errorf("answered %s", response.Status)
		case o.Judge != nil:
			return o.Judge(string(answer))
		}
		return nil
	}
}
