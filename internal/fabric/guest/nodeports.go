package guest

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

// kubeProxyHealth is where kube-proxy tells that its node takes connections.
const kubeProxyHealth = 10256

// nodePorts stand in for kube-proxy and for the pods behind it: the machine answers on
// the TCP node ports of all Services as if a pod of each ran on it, in one line that
// names the Service and the node.
type nodePorts struct {
	guest *Guest
	node  string
	at    netip.Addr
	// services are those that there are, open what is listened on, by port, with what
	// it answers.
	services map[types.NamespacedName]*corev1.Service
	open     map[int32]nodePort
}

type nodePort struct {
	answer string
	stop   func()
}

// openNodePorts answers on node ports until what it returns is called.
func (g *Guest) openNodePorts(ctx context.Context, k kubelet) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	p := &nodePorts{guest: g, node: k.mem.Hostname, at: k.mem.address(), open: map[int32]nodePort{}}
	go func() {
		defer close(done)
		defer p.close()
		// A watch of its own connection: it must not break off with the kubelet's.
		transport := k.client.transport.Clone()
		defer transport.CloseIdleConnections()
		for ctx.Err() == nil {
			if err := p.follow(ctx, k.client.host, &http.Client{Transport: once{transport, ""}}); err != nil && ctx.Err() == nil {
				g.console.line("kube-proxy: %s", err)
			}
			timer := g.runtime.Clock.NewTimer(g.runtime.Heartbeat)
			select {
			case <-ctx.Done():
			case <-timer.C():
			}
			timer.Stop()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// follow opens and closes ports as Services come and go, until the watch ends.
func (p *nodePorts) follow(ctx context.Context, host string, client *http.Client) error {
	core, err := corev1client.NewForConfigAndClient(&rest.Config{Host: host, UserAgent: "kube-proxy/" + p.guest.machine.KubernetesVersion, QPS: -1}, client)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", host, err)
	}
	listing, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	list, err := core.Services(metav1.NamespaceAll).List(listing, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("list services: %w", err)
	}
	p.services = map[types.NamespacedName]*corev1.Service{}
	for i := range list.Items {
		p.services[nameOf(&list.Items[i])] = &list.Items[i]
	}
	changes, err := core.Services(metav1.NamespaceAll).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
	if err != nil {
		return fmt.Errorf("watch services: %w", err)
	}
	defer changes.Stop()
	for {
		if err := p.sync(p.wanted()); err != nil {
			return err
		}
		event, ok := <-changes.ResultChan()
		if !ok {
			return nil
		}
		service, ok := event.Object.(*corev1.Service)
		if !ok {
			return fmt.Errorf("the watch of services ended: %v", event.Object)
		}
		p.services[nameOf(service)] = service
		if event.Type == watch.Deleted {
			delete(p.services, nameOf(service))
		}
	}
}

func nameOf(service *corev1.Service) types.NamespacedName {
	return types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
}

// wanted is what is to be answered, by port.
func (p *nodePorts) wanted() map[int32]string {
	wanted := map[int32]string{kubeProxyHealth: "ok\n"}
	for name, service := range p.services {
		for _, port := range service.Spec.Ports {
			if port.NodePort != 0 && port.Protocol == corev1.ProtocolTCP {
				wanted[port.NodePort] = fmt.Sprintf("%s answers on %s\n", name, p.node)
			}
		}
		if port := service.Spec.HealthCheckNodePort; port != 0 {
			wanted[port] = "ok\n"
		}
	}
	return wanted
}

// close listens nowhere any more.
func (p *nodePorts) close() {
	for _, open := range p.open {
		open.stop()
	}
}

// sync listens where it shall, and nowhere else.
func (p *nodePorts) sync(wanted map[int32]string) error {
	for port, open := range p.open {
		if wanted[port] != open.answer {
			open.stop()
			delete(p.open, port)
		}
	}
	for port, answer := range wanted {
		if _, ok := p.open[port]; ok {
			continue
		}
		l := &listener{conns: map[net.Conn]struct{}{}}
		var err error
		if l.Listener, err = p.guest.runtime.Listen(netip.AddrPortFrom(p.at, uint16(port)).String()); err != nil {
			return fmt.Errorf("open node port %d: %w", port, err)
		}
		web := &http.Server{
			ReadHeaderTimeout: 10 * time.Second, ErrorLog: log.New(discard{}, "", 0),
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }),
		}
		p.open[port] = nodePort{answer: answer, stop: l.serving(func() error { return web.Serve(l) }, func() { _ = web.Close() })}
	}
	return nil
}
