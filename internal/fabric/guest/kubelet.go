package guest

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/netip"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeadmv1 "sigs.k8s.io/cluster-api/bootstrap/kubeadm/pkg/types/upstreamv1beta4"
)

// kubelet registers a machine's Node and keeps it alive.
type kubelet struct {
	client  *apiClient
	mem     *memory
	options kubeadmv1.NodeRegistrationOptions
	// pods are the static pods, of control-plane machines.
	pods []*corev1.Pod
	// labels and taints are what kubeadm marks control-plane machines with.
	labels map[string]string
	taints []corev1.Taint
	// ready is what must be so before kubeadm calls it a success.
	ready func(context.Context) error
}

// runKubelet runs the kubelet of a control-plane machine, against its own API
// server.
func (cp *controlPlane) runKubelet(ctx context.Context) error {
	cert, err := cp.pki.ca.issue(cp.runtime.Clock.Now(), subject{
		name: "system:node:" + cp.mem.Hostname, organizations: []string{nodesTeam}, usages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return fmt.Errorf("kubelet: %w", err)
	}
	local := netip.AddrPortFrom(cp.mem.address(), cp.bindPort()).String()
	client, err := cp.connect(local, cp.pki.ca.pool(), apiCredentials{certificate: &cert})
	if err != nil {
		return fmt.Errorf("kubelet: %w", err)
	}
	defer client.close()
	k := kubelet{
		client: client, mem: cp.mem, options: cp.kubeadm.registration(), pods: staticPods(cp.mem, cp.config),
		labels: map[string]string{controlPlaneLabel: "", corev1.LabelNodeExcludeBalancers: ""},
	}
	if k.options.Taints == nil {
		k.taints = []corev1.Taint{{Key: controlPlaneLabel, Effect: corev1.TaintEffectNoSchedule}}
	}
	if !cp.mem.Node.Joined {
		k.ready = cp.reachEndpoint
	}
	return cp.kubelet(ctx, k)
}

// reachEndpoint asks for the cluster through its endpoint, as kubeadm does before
// it marks the machine.
func (cp *controlPlane) reachEndpoint(ctx context.Context) error {
	c, err := cp.connect(cp.config.ControlPlaneEndpoint, cp.pki.ca.pool(), apiCredentials{})
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.core.RESTClient().Get().AbsPath("/livez").Do(ctx).Error(); err != nil {
		return fmt.Errorf("the cluster's endpoint does not answer: %w", err)
	}
	return nil
}

// kubelet runs until the power goes.
func (g *Guest) kubelet(ctx context.Context, k kubelet) error {
	if _, err := nodeLabels(k.options); err != nil {
		return fmt.Errorf("kubelet: %w", err)
	}
	if k.ready != nil {
		if err := g.retry(ctx, "kubeadm", k.ready); err != nil {
			return err
		}
	}
	if err := g.retry(ctx, "kubelet: register the node", func(ctx context.Context) error { return g.register(ctx, k) }); err != nil {
		return err
	}
	first := !k.mem.Node.Joined
	if first {
		k.mem.Node.Joined = true
		if err := g.disk.write(stateFile, k.mem); err != nil {
			return err
		}
	}
	g.console.change(running, "kubelet: node %s is registered", k.mem.Hostname)
	if first {
		g.first.ends()
	}
	// Nobody connects to the node ports of the others.
	if _, excluded := k.labels[corev1.LabelNodeExcludeBalancers]; !excluded {
		stop := g.openNodePorts(ctx, k)
		defer stop()
	}
	return g.keepAlive(ctx, k)
}

// register makes the Node and the static pods, or takes them up again.
func (g *Guest) register(ctx context.Context, k kubelet) error {
	want, err := g.node(k)
	if err != nil {
		return failure{err}
	}
	nodes := k.client.core.Nodes()
	if _, err := nodes.Create(ctx, want, metav1.CreateOptions{}); err != nil {
		if !apierrors.IsAlreadyExists(err) {
			return err
		}
		if err := g.postStatus(ctx, k, true); err != nil {
			return err
		}
	}
	for _, pod := range k.pods {
		if _, err := k.client.core.Pods(pod.Namespace).Create(ctx, pod, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("mirror pod %s: %w", pod.Name, err)
		}
	}
	return g.renewLease(ctx, k)
}

// keepAlive renews the lease and, where the cluster thinks otherwise, says that
// the node is ready. A Node that is deleted is not made again before the next
// boot, as with a real kubelet.
func (g *Guest) keepAlive(ctx context.Context, k kubelet) error {
	ticker := g.runtime.Clock.NewTicker(g.runtime.Heartbeat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C():
		}
		err := g.renewLease(ctx, k)
		if err == nil {
			err = g.postStatus(ctx, k, false)
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			g.console.line("kubelet: renew the node's lease: %s", err)
		default:
			g.console.forget("kubelet: renew")
		}
	}
}

func (g *Guest) renewLease(ctx context.Context, k kubelet) error {
	now := metav1.NewMicroTime(g.runtime.Clock.Now())
	seconds := int32(max(g.runtime.NodeGrace*4/5, time.Second) / time.Second)
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Name: k.mem.Hostname, Namespace: corev1.NamespaceNodeLease},
		Spec:       coordinationv1.LeaseSpec{HolderIdentity: &k.mem.Hostname, LeaseDurationSeconds: &seconds, RenewTime: &now},
	}
	_, err := k.client.leases.Leases(corev1.NamespaceNodeLease).Update(ctx, lease, metav1.UpdateOptions{})
	return err
}

// postStatus writes the status of the Node if it is not what it should be, or if
// it must be new.
func (g *Guest) postStatus(ctx context.Context, k kubelet, always bool) error {
	nodes := k.client.core.Nodes()
	node, err := nodes.Get(ctx, k.mem.Hostname, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && !always {
			return nil
		}
	}
	want, err := g.node(k)
	if err != nil {
		return failure{err}
	}
	node.Status = want.Status
	_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
	return err
}
