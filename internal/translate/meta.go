package translate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	infrav1 "github.com/capstan-k8s/capstan/api/infrastructure/v1alpha1"
	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

func typeMeta(gv schema.GroupVersion, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: gv.String(), Kind: kind}
}

// meta returns the metadata of a child. Nothing is taken over from the parent's
// own labels and annotations: GitOps tools track by them, and would take the
// child for something of theirs that they must prune.
func meta(parent metav1.Object, name, cluster string, pool *capstanv1.NodePool) metav1.ObjectMeta {
	labels := map[string]string{
		clusterv1.ClusterNameLabel:     cluster,
		capstanv1.WorkloadClusterLabel: cluster,
	}
	if pool != nil {
		labels[capstanv1.NodePoolLabel] = pool.Name
	}
	return metav1.ObjectMeta{Namespace: parent.GetNamespace(), Name: name, Labels: labels}
}

// owner is a reference for objects that Cluster API makes itself the controller
// of.
func owner(obj metav1.Object, kind string) metav1.OwnerReference {
	return metav1.OwnerReference{
		APIVersion: capstanv1.GroupVersion.String(), Kind: kind, Name: obj.GetName(), UID: obj.GetUID(),
	}
}

func controller(obj metav1.Object, kind string) metav1.OwnerReference {
	ref := owner(obj, kind)
	ref.Controller = ptr.To(true)
	ref.BlockOwnerDeletion = ptr.To(true)
	return ref
}

func owned(m metav1.ObjectMeta, obj metav1.Object, kind string) metav1.ObjectMeta {
	m.OwnerReferences = []metav1.OwnerReference{owner(obj, kind)}
	return m
}

// BelongTo makes what a Cluster refers to belong to it, word for word as Cluster
// API does, so that neither changes what the other wrote.
func BelongTo(obj metav1.Object, cluster *clusterv1.Cluster) {
	obj.SetOwnerReferences(append(obj.GetOwnerReferences(), metav1.OwnerReference{
		APIVersion: clusterv1.GroupVersion.String(), Kind: "Cluster", Name: cluster.Name, UID: cluster.UID,
	}))
}

func machineTemplate(wlc *capstanv1.WorkloadCluster, prefix string, os capstanv1.OS, size capstanv1.MachineSize, image string, rules *capstanv1.PlacementRules) *infrav1.HyperVMachineTemplate {
	template := &infrav1.HyperVMachineTemplate{
		TypeMeta: typeMeta(infrav1.GroupVersion, "HyperVMachineTemplate"),
		Spec: infrav1.HyperVMachineTemplateSpec{Template: infrav1.HyperVMachineTemplateResource{
			Spec: infrav1.HyperVMachineSpec{
				OS:            os,
				Size:          size,
				Image:         image,
				Networks:      []capstanv1.VMNetwork{{LogicalNetwork: wlc.Spec.LogicalNetwork}},
				Placement:     rules,
				GuestSettings: wlc.Spec.GuestSettings,
			},
		}},
	}
	template.ObjectMeta = meta(wlc, prefix+"-"+contentHash(template.Spec), wlc.Name, nil)
	return template
}

// contentHash names content: equal content has an equal name. Quantities marshal
// in their canonical form, so rewriting 4096Mi as 4Gi rolls nothing.
func contentHash(content any) string {
	raw, err := json.Marshal(content)
	if err != nil {
		// The types are our own and Cluster API's, all of which marshal.
		panic("translate: " + err.Error())
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])[:8]
}
