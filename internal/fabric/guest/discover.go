package guest

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	"k8s.io/cluster-bootstrap/token/jws"
	bootstraptokens "k8s.io/cluster-bootstrap/util/tokens"
	kubeadmv1 "sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types/upstreamv1beta4"
	"sigs.k8s.io/yaml"
)

// discovered is what a joining machine learns of its cluster.
type discovered struct {
	endpoint string
	caPEM    []byte
	ca       *x509.CertPool
	config   kubeadmv1.ClusterConfiguration
	// configYAML is config as the cluster holds it.
	configYAML string
}

// discover is kubeadm's discovery by token: it reads the cluster's information
// from whoever answers, believes it if the token has signed it and the CA has the
// pinned key, and then asks again with that CA for the configuration.
func (g *Guest) discover(ctx context.Context, d *kubeadmv1.BootstrapTokenDiscovery) (*discovered, error) {
	id, secret, err := bootstraptokens.ParseToken(d.Token)
	if err != nil {
		return nil, failure{err}
	}
	anonymous, err := g.connect(d.APIServerEndpoint, nil, apiCredentials{})
	if err != nil {
		return nil, failure{err}
	}
	defer anonymous.close()
	info, err := anonymous.core.ConfigMaps(metav1.NamespacePublic).Get(ctx, bootstrapapi.ConfigMapClusterInfo, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("read cluster-info from %s: %w", d.APIServerEndpoint, err)
	}
	content := info.Data[bootstrapapi.KubeConfigKey]
	signature, ok := info.Data[bootstrapapi.JWSSignatureKeyPrefix+id]
	if !ok {
		return nil, fmt.Errorf("token id %q is invalid for this cluster or it has expired", id)
	}
	if !jws.DetachedTokenIsValid(signature, content, id, secret) {
		return nil, errors.New("the signature of cluster-info is not the token's")
	}
	found := &discovered{endpoint: d.APIServerEndpoint, ca: x509.NewCertPool()}
	if found.caPEM, err = pinnedCA(content, d.CACertHashes); err != nil {
		return nil, failure{err}
	}
	found.ca.AppendCertsFromPEM(found.caPEM)
	return found, g.readClusterConfiguration(ctx, found, d.Token)
}

func pinnedCA(kubeconfig string, pins []string) ([]byte, error) {
	config, err := clientcmd.Load([]byte(kubeconfig))
	if err != nil {
		return nil, errors.New("the kubeconfig of cluster-info cannot be read")
	}
	for _, c := range config.Clusters {
		cert, err := parseCertificate(c.CertificateAuthorityData)
		if err != nil {
			return nil, fmt.Errorf("the CA of cluster-info: %w", err)
		}
		if !slices.Contains(pins, publicKeyPin(cert)) {
			return nil, fmt.Errorf("the cluster's CA is not trusted: its public key %s is not pinned", publicKeyPin(cert))
		}
		return c.CertificateAuthorityData, nil
	}
	return nil, errors.New("the kubeconfig of cluster-info has no cluster")
}

func (g *Guest) readClusterConfiguration(ctx context.Context, d *discovered, token string) error {
	c, err := g.connect(d.endpoint, d.ca, apiCredentials{token: token})
	if err != nil {
		return failure{err}
	}
	defer c.close()
	cm, err := c.core.ConfigMaps(metav1.NamespaceSystem).Get(ctx, "kubeadm-config", metav1.GetOptions{})
	if apierrors.IsUnauthorized(err) {
		return fmt.Errorf("the token was refused: %w", err)
	}
	if err != nil {
		return fmt.Errorf("read kubeadm-config: %w", err)
	}
	d.configYAML = cm.Data["ClusterConfiguration"]
	if err := yaml.Unmarshal([]byte(d.configYAML), &d.config); err != nil {
		return errors.New("kubeadm-config has no readable ClusterConfiguration")
	}
	return nil
}

// joinVersion is the version that a joining machine runs.
func (g *Guest) joinVersion(d *discovered, r role) (string, error) {
	if g.machine.KubernetesVersion == "" {
		return d.config.KubernetesVersion, nil
	}
	return g.machine.KubernetesVersion, checkSkew(g.machine.KubernetesVersion, d.config.KubernetesVersion, r)
}
