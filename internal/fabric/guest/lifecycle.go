package guest

import (
	"fmt"
	"maps"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	"k8s.io/cluster-bootstrap/token/jws"
	bootstrapsecrets "k8s.io/cluster-bootstrap/util/secrets"

	"github.com/capstan-k8s/capstan/internal/fabric/guest/kubeapi"
)

// lifecycle is what a cluster needs of kube-controller-manager: Nodes that are
// silent become not ready, and bootstrap tokens sign the cluster's information
// and expire.
type lifecycle struct {
	cluster *cluster
	// silentSince is when a Node was first seen without a lease. Leases do not
	// survive a restart.
	silentSince map[string]time.Time
}

func newLifecycle(c *cluster) *lifecycle {
	return &lifecycle{cluster: c, silentSince: map[string]time.Time{}}
}

// run does a round. Without a majority nothing can be written.
func (l *lifecycle) run() {
	if !l.cluster.healthy() {
		// Silence in this time is not the kubelets' fault.
		clear(l.silentSince)
		return
	}
	l.judgeNodes()
	l.expireTokens()
}

func (l *lifecycle) judgeNodes() {
	now := l.cluster.runtime.Clock.Now()
	nodes, _ := l.cluster.store.List(kubeapi.Nodes, "")
	seen := map[string]time.Time{}
	for _, o := range nodes {
		node := o.(*corev1.Node)
		heard, ok := l.lastHeard(node.Name)
		if !ok {
			if heard, ok = l.silentSince[node.Name]; !ok {
				heard = now
			}
			seen[node.Name] = heard
		}
		if now.Sub(heard) > l.cluster.runtime.NodeGrace {
			l.markUnknown(node)
		}
	}
	l.silentSince = seen
}

func (l *lifecycle) lastHeard(node string) (time.Time, bool) {
	o, err := l.cluster.store.Get(kubeapi.Leases, corev1.NamespaceNodeLease, node)
	if err != nil {
		return time.Time{}, false
	}
	renewed := o.(*coordinationv1.Lease).Spec.RenewTime
	if renewed == nil {
		return time.Time{}, false
	}
	return renewed.Time, true
}

func (l *lifecycle) markUnknown(node *corev1.Node) {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionUnknown {
			return
		}
	}
	_, err := l.cluster.store.Update(kubeapi.Nodes, "", node.Name, kubeapi.Change{Status: true, Apply: func(old kubeapi.Object) (kubeapi.Object, error) {
		n := old.(*corev1.Node)
		now := metav1.NewTime(l.cluster.runtime.Clock.Now())
		for i := range n.Status.Conditions {
			c := &n.Status.Conditions[i]
			c.Status, c.Reason, c.Message = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet stopped posting node status."
			c.LastTransitionTime = now
		}
		return n, nil
	}})
	if err != nil {
		l.cluster.runtime.Log.V(1).Info("A silent node could not be marked", "node", node.Name, "error", err.Error())
	}
}

// expireTokens deletes bootstrap tokens whose time has come.
func (l *lifecycle) expireTokens() {
	for _, token := range l.tokens() {
		if bootstrapsecrets.HasExpired(token, l.cluster.runtime.Clock.Now()) {
			// Whoever was quicker has done what there is to do.
			_, _ = l.cluster.store.Delete(kubeapi.Secrets, token.Namespace, token.Name, metav1.DeleteOptions{})
		}
	}
}

func (l *lifecycle) tokens() []*corev1.Secret {
	secrets, _ := l.cluster.store.List(kubeapi.Secrets, metav1.NamespaceSystem)
	var tokens []*corev1.Secret
	for _, o := range secrets {
		if s := o.(*corev1.Secret); s.Type == bootstrapapi.SecretTypeBootstrapToken {
			tokens = append(tokens, s)
		}
	}
	return tokens
}

// publishTokens signs the cluster's information with every valid token, by which
// a joining machine recognises its cluster.
func (l *lifecycle) publishTokens() {
	o, err := l.cluster.store.Get(kubeapi.ConfigMaps, metav1.NamespacePublic, bootstrapapi.ConfigMapClusterInfo)
	if err != nil {
		return
	}
	info := o.(*corev1.ConfigMap)
	tokens := l.tokens()
	want, err := l.signed(info, tokens)
	if err != nil || maps.Equal(want, info.Data) {
		return
	}
	_, err = l.cluster.store.Update(kubeapi.ConfigMaps, info.Namespace, info.Name, kubeapi.Change{Apply: func(old kubeapi.Object) (kubeapi.Object, error) {
		cm := old.(*corev1.ConfigMap)
		if cm.Data, err = l.signed(cm, tokens); err != nil {
			return nil, fmt.Errorf("sign cluster-info: %w", err)
		}
		return cm, nil
	}})
	if err != nil {
		l.cluster.runtime.Log.V(1).Info("The cluster-info could not be signed", "error", err.Error())
	}
}

func (l *lifecycle) signed(info *corev1.ConfigMap, tokens []*corev1.Secret) (map[string]string, error) {
	data := map[string]string{}
	for k, v := range info.Data {
		if !strings.HasPrefix(k, bootstrapapi.JWSSignatureKeyPrefix) {
			data[k] = v
		}
	}
	content := data[bootstrapapi.KubeConfigKey]
	for _, t := range tokens {
		id := bootstrapsecrets.GetData(t, bootstrapapi.BootstrapTokenIDKey)
		secret := bootstrapsecrets.GetData(t, bootstrapapi.BootstrapTokenSecretKey)
		if bootstrapsecrets.GetData(t, bootstrapapi.BootstrapTokenUsageSigningKey) != "true" || bootstrapsecrets.HasExpired(t, l.cluster.runtime.Clock.Now()) {
			continue
		}
		// A signature that is there and valid is kept: it is not the same twice for
		// every kind of key.
		if old := info.Data[bootstrapapi.JWSSignatureKeyPrefix+id]; old != "" && jws.DetachedTokenIsValid(old, content, id, secret) {
			data[bootstrapapi.JWSSignatureKeyPrefix+id] = old
			continue
		}
		signature, err := jws.ComputeDetachedSignature(content, id, secret)
		if err != nil {
			return nil, err
		}
		data[bootstrapapi.JWSSignatureKeyPrefix+id] = signature
	}
	return data, nil
}
