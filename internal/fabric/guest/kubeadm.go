package guest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/blang/semver/v4"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	kubeadmv1 "sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types/upstreamv1beta4"
	"sigs.k8s.io/yaml"
)

const kubeadmAPIVersion = "kubeadm.k8s.io/v1beta4"

// kubeadmConfig is what kubeadm is given by its --config file.
type kubeadmConfig struct {
	cluster *kubeadmv1.ClusterConfiguration
	init    *kubeadmv1.InitConfiguration
	join    *kubeadmv1.JoinConfiguration
}

// parseKubeadmConfig reads the documents of the file. Unknown fields and kinds
// are errors, as kubeadm has it.
func parseKubeadmConfig(data []byte) (kubeadmConfig, error) {
	var c kubeadmConfig
	reader := utilyaml.NewYAMLReader(newLineReader(data))
	for {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return c, nil
		}
		if err != nil {
			return kubeadmConfig{}, errors.New("it is not YAML")
		}
		if len(bytes.TrimSpace(bytes.Trim(bytes.TrimSpace(doc), "-"))) == 0 {
			continue
		}
		if err := c.add(doc); err != nil {
			return kubeadmConfig{}, err
		}
	}
}

func (c *kubeadmConfig) add(doc []byte) error {
	var kind struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
	}
	if err := yaml.Unmarshal(doc, &kind); err != nil {
		return errors.New("a document is not YAML")
	}
	// Other components' configurations are not kubeadm's to judge.
	if strings.HasSuffix(strings.Split(kind.APIVersion, "/")[0], ".config.k8s.io") {
		return nil
	}
	if kind.APIVersion != kubeadmAPIVersion {
		return fmt.Errorf("a document has apiVersion %q, must be %s", kind.APIVersion, kubeadmAPIVersion)
	}
	var into any
	switch kind.Kind {
	case "ClusterConfiguration":
		c.cluster = &kubeadmv1.ClusterConfiguration{}
		into = c.cluster
	case "InitConfiguration":
		c.init = &kubeadmv1.InitConfiguration{}
		into = c.init
	case "JoinConfiguration":
		c.join = &kubeadmv1.JoinConfiguration{}
		into = c.join
	default:
		return fmt.Errorf("kind %q is not known to kubeadm", kind.Kind)
	}
	// The decoder's own message may quote a token.
	if err := yaml.UnmarshalStrict(doc, into); err != nil {
		if i := strings.Index(err.Error(), "unknown field"); i >= 0 {
			return fmt.Errorf("%s has an %s", kind.Kind, err.Error()[i:])
		}
		return fmt.Errorf("%s has a field of the wrong type", kind.Kind)
	}
	return nil
}

// validate checks what kubeadm init or join checks before it starts.
func (c kubeadmConfig) validate(r role) error {
	if r == roleInit {
		if c.init == nil || c.cluster == nil {
			return errors.New("it needs a ClusterConfiguration and an InitConfiguration")
		}
		if _, err := semver.ParseTolerant(c.cluster.KubernetesVersion); err != nil || !strings.HasPrefix(c.cluster.KubernetesVersion, "v") {
			return fmt.Errorf("kubernetesVersion %q is not a version", c.cluster.KubernetesVersion)
		}
		if _, err := netip.ParseAddrPort(c.cluster.ControlPlaneEndpoint); err != nil {
			return fmt.Errorf("controlPlaneEndpoint %q is not an address and port, and there is no DNS server", c.cluster.ControlPlaneEndpoint)
		}
		if c.cluster.Etcd.External != nil {
			return errors.New("external etcd is not simulated")
		}
		if s := c.cluster.Networking.ServiceSubnet; s != "" {
			if _, err := netip.ParsePrefix(s); err != nil {
				return fmt.Errorf("networking.serviceSubnet %q is not a subnet", s)
			}
		}
		return nil
	}
	if c.join == nil {
		return errors.New("it needs a JoinConfiguration")
	}
	token := c.join.Discovery.BootstrapToken
	switch {
	case (r == roleJoinControlPlane) != (c.join.ControlPlane != nil):
		return errors.New("it does not agree with itself whether this is a control-plane machine")
	case token == nil:
		return errors.New("discovery.bootstrapToken is missing, other ways of discovery are not simulated")
	case !tokenPattern.MatchString(token.Token):
		return errors.New("discovery.bootstrapToken.token is not a bootstrap token")
	case len(token.CACertHashes) == 0:
		return errors.New("discovery.bootstrapToken.caCertHashes is empty: the cluster could be anybody's")
	}
	if _, err := netip.ParseAddrPort(token.APIServerEndpoint); err != nil {
		return fmt.Errorf("discovery.bootstrapToken.apiServerEndpoint %q is not an address and port, and there is no DNS server", token.APIServerEndpoint)
	}
	return nil
}

// registration is how the kubelet shall register its Node.
func (c kubeadmConfig) registration() kubeadmv1.NodeRegistrationOptions {
	if c.init != nil {
		return c.init.NodeRegistration
	}
	return c.join.NodeRegistration
}

// checkSkew refuses versions with which kubeadm and the kubelet of an image refuse
// to run: kubeadm init makes a cluster of its own minor version, and no kubelet
// is newer than its control plane.
func checkSkew(image, cluster string, r role) error {
	i, err := semver.ParseTolerant(image)
	if err != nil {
		return fmt.Errorf("the image's Kubernetes version %q is not a version", image)
	}
	c, err := semver.ParseTolerant(cluster)
	if err != nil {
		return fmt.Errorf("the cluster's Kubernetes version %q is not a version", cluster)
	}
	if i.Major != c.Major || i.Minor > c.Minor || r == roleInit && i.Minor != c.Minor {
		return fmt.Errorf("the image has Kubernetes %s, which does not fit a control plane of %s", image, cluster)
	}
	return nil
}
