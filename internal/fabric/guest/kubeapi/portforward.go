package kubeapi

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/util/httpstream"      //nolint:staticcheck // The handler of Cluster API that is used here needs it.
	"k8s.io/apimachinery/pkg/util/httpstream/spdy" //nolint:staticcheck // As above.
	"k8s.io/client-go/tools/portforward"
	inmemoryportforward "sigs.k8s.io/cluster-api/test/infrastructure/inmemory/pkg/server/api/portforward"
)

// portForward joins streams of the client's connection with connections to a pod.
func (s *Server) portForward(w http.ResponseWriter, r *http.Request, req request) error {
	if _, err := s.Store.Get(req.resource, req.namespace, req.name); err != nil {
		return err
	}
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return fmt.Errorf("negotiate the port-forward protocol: %w", err)
	}
	streams := make(chan httpstream.Stream, 1)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, inmemoryportforward.HTTPStreamReceived(streams))
	if conn == nil {
		return nil // The upgrader has answered.
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
