package capi

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	ctrl "sigs.k8s.io/controller-runtime"
	ctrlcache "sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestTheSecretCacheKeepsTheDataThatReconcilersRead(t *testing.T) {
	data := map[string][]byte{"value": []byte("v")}
	tests := map[string]map[string][]byte{
		"shop-kubeconfig":           data,
		"shop-ca":                   data,
		"shop-etcd":                 data,
		"shop-proxy":                data,
		"shop-sa":                   data,
		"shop-control-plane-x7k2p":  nil,
		"shop-registry-credentials": nil,
	}
	for name, kept := range tests {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			rule, err := secretCache()
			g.Expect(err).NotTo(HaveOccurred())

			out, err := rule.Transform(&corev1.Secret{
				ObjectMeta: metav1.ObjectMeta{Name: name, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m"}}},
				Data:       data,
			})
			g.Expect(err).NotTo(HaveOccurred())
			secret, ok := out.(*corev1.Secret)
			g.Expect(ok).To(BeTrue())
			g.Expect(secret.ManagedFields).To(BeEmpty())
			g.Expect(secret.Data).To(Equal(kept))
		})
	}
}

func TestTheSecretCacheHoldsNoSecretOutsideClusters(t *testing.T) {
	g := NewWithT(t)
	rule, err := secretCache()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(rule.Label.Matches(labels.Set{"cluster.x-k8s.io/cluster-name": "shop"})).To(BeTrue())
	g.Expect(rule.Label.Matches(labels.Set{"app": "shop"})).To(BeFalse())
}

func TestConfiguringAManagerKeepsWhatTheCallerChose(t *testing.T) {
	g := NewWithT(t)
	period, node, pod := time.Minute, &corev1.Node{}, &corev1.Pod{}
	options := ctrl.Options{
		Cache:  ctrlcache.Options{SyncPeriod: &period, ByObject: map[client.Object]ctrlcache.ByObject{node: {}}},
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{pod}}},
	}

	g.Expect(ConfigureManager(&options)).To(Succeed())

	g.Expect(options.Cache.SyncPeriod).To(HaveValue(Equal(time.Minute)))
	g.Expect(options.Cache.ByObject).To(And(HaveKey(node), HaveLen(2)))
	g.Expect(options.Client.Cache.DisableFor).To(ConsistOf(pod, &corev1.Secret{}, &corev1.ConfigMap{}))
	g.Expect(options.Client.Cache.Unstructured).To(BeTrue())
	g.Expect(options.Controller.UsePriorityQueue).To(HaveValue(BeTrue()))
}

func TestOptionsThatAreSetStay(t *testing.T) {
	g := NewWithT(t)
	options := Options{Concurrency: Concurrency{Machine: 3}, RemoteBurst: 7}.withDefaults()
	g.Expect(options.Concurrency.Machine).To(Equal(3))
	g.Expect(options.RemoteBurst).To(Equal(7))
	g.Expect(options.Concurrency.Cluster).To(Equal(50))
	g.Expect(options.ConnectionRetryInterval).To(Equal(2 * time.Second))
}
