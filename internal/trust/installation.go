package trust

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Installation returns the identity of this management cluster, which every VM
// and disk is stamped with: the UID of a namespace that is made with the cluster
// and never again.
func Installation(ctx context.Context, live client.Reader) (string, error) {
	namespace := &corev1.Namespace{}
	if err := live.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, namespace); err != nil {
		return "", fmt.Errorf("reading the identity of the management cluster from namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}
