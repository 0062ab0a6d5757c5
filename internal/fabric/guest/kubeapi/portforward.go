package kubeapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"
	"k8s.io/apimachinery/pkg/util/httpstream"      //nolint:staticcheck // The handler of Cluster API that is used here needs it.
	"k8s.io/apimachinery/pkg/util/httpstream/spdy" //nolint:staticcheck // As above.
	constants "k8s.io/apimachinery/pkg/util/portforward"
	"k8s.io/client-go/tools/portforward"
	inmemoryportforward "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server/api/portforward"
)

// portForward joins streams of the client's connection with connections to a pod.
func (s *Server) portForward(w http.ResponseWriter, r *http.Request, req request) error {
	if _, err := s.Store.Get(req.resource, req.namespace, req.name); err != nil {
		return err
	}
	streams := make(chan httpstream.Stream, 1)
	upgrade := upgradeSPDY
	if websocket.IsWebSocketUpgrade(r) {
		upgrade = upgradeWebSocket
	}
	conn, err := upgrade(w, r, inmemoryportforward.HTTPStreamReceived(streams))
	if err != nil || conn == nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	conn.SetIdleTimeout(10 * time.Minute)

	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	defer cancel()
	inmemoryportforward.NewHTTPStreamHandler(conn, streams, req.name, req.namespace,
		func(ctx context.Context, name, namespace, port string, stream io.ReadWriteCloser) error {
			pod, err := s.DialPod(ctx, namespace, name, port)
			if err != nil {
				return fmt.Errorf("port-forward to pod %s/%s: %w", namespace, name, err)
			}
			defer func() { _ = pod.Close() }()
			return inmemoryportforward.HTTPStreamTunnel(ctx, stream, pod)
		}).Run(ctx)
	return nil
}

// upgradeSPDY makes the client's connection one of streams. It returns nil if the client
// was told why not.
func upgradeSPDY(w http.ResponseWriter, r *http.Request, received httpstream.NewStreamHandler) (httpstream.Connection, error) {
	if _, err := httpstream.Handshake(r, w, []string{constants.PortForwardV1Name}); err != nil {
		return nil, fmt.Errorf("negotiate the port-forward protocol: %w", err)
	}
	return spdy.NewResponseUpgrader().UpgradeResponse(w, r, received), nil
}

// upgradeWebSocket is upgradeSPDY, but for streams within a WebSocket, as API servers
// have them since Kubernetes 1.31 and clients try them first. It is no luxury: Cluster
// API's etcd client dials two connections at once with one dialer, and when both fall
// back to SPDY one may get the other's connection, and hang until its call times out.
func upgradeWebSocket(w http.ResponseWriter, r *http.Request, received httpstream.NewStreamHandler) (httpstream.Connection, error) {
	upgrader := websocket.Upgrader{Subprotocols: []string{constants.WebsocketsSPDYTunnelingPortForwardV1}}
	tunnel, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return nil, nil //nolint:nilerr // The upgrader has answered.
	}
	return spdy.NewServerConnection(portforward.NewTunnelingConnection("server", tunnel), received)
}
