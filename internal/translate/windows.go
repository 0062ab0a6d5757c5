package translate

import (
	corev1 "k8s.io/api/core/v1"
	bootstrapv1 "sigs.k8s.io/cluster-api/api/bootstrap/kubeadm/v1beta2"
	clusterv1 "sigs.k8s.io/cluster-api/api/core/v1beta2"

	capstanv1 "github.com/capstan-k8s/capstan/api/v1alpha1"
)

// MaxWindowsPoolName is how long the name of a pool of Windows nodes may be: a
// computer name has 15 characters, of which a dash and five more tell the nodes
// apart.
const MaxWindowsPoolName = 9

// windowsSocket is where containerd listens on Windows.
const windowsSocket = "npipe:////./pipe/containerd-containerd"

// windowsTaint keeps away what says nothing about the OS it is made for, which is
// most of what there is, and for Linux.
var windowsTaint = corev1.Taint{Key: "os", Value: "windows", Effect: corev1.TaintEffectNoSchedule}

// nodeTaints are the taints of a pool's nodes. An empty list is an answer, none is
// not.
func nodeTaints(pool *capstanv1.NodePool) []corev1.Taint {
	if pool.Spec.OS == capstanv1.OSWindows && pool.Spec.Taints == nil {
		return []corev1.Taint{windowsTaint}
	}
	return pool.Spec.Taints
}

// machineNaming shortens the names of Windows machines: Cluster API's own, which
// hold the MachineSet's, are longer than a computer name can be.
func machineNaming(pool *capstanv1.NodePool) clusterv1.MachineNamingSpec {
	if pool.Spec.OS != capstanv1.OSWindows {
		return clusterv1.MachineNamingSpec{}
	}
	return clusterv1.MachineNamingSpec{Template: pool.Name + "-{{ .random }}"}
}

// poolRegistration is how the kubelets of a pool register their nodes.
func poolRegistration(pool *capstanv1.NodePool, labels map[string]string) bootstrapv1.NodeRegistrationOptions {
	options := nodeRegistration(labels, nodeTaints(pool))
	if pool.Spec.OS == capstanv1.OSWindows {
		options.CRISocket = windowsSocket
	}
	return options
}

// postKubeadmCommands are run in a node that has joined. Windows images leave
// kubelet to be started by kubeadm, since it fails before; after a restart nobody
// else would start it.
func postKubeadmCommands(pool *capstanv1.NodePool) []string {
	if pool.Spec.OS == capstanv1.OSWindows {
		return []string{"sc.exe config kubelet start= auto"}
	}
	return nil
}
