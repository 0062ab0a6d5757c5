// Command web is what pods of images/machinectr/samples run: it tells whoever asks
// which Service it stands behind, and on which node. It is a static binary that needs
// no container image of its own, where there is no registry.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const defaultService = "default/web"

func main() {
	address := flag.String("listen", ":8080", "`address` to answer on")
	service := flag.String("service", defaultService, "`name` of the Service that is told")
	node := flag.String("node", os.Getenv("NODE_NAME"), "`name` of the node that is told (default $NODE_NAME)")
	// Whoever sends requests learns of the end of a pod a little later than the pod.
	linger := flag.Duration("linger", 5*time.Second, "how long it answers on after it was asked to end")
	flag.Parse()
	if flag.NArg() > 0 || *node == "" {
		fmt.Fprintln(os.Stderr, "web: takes no arguments, and needs --node; see --help")
		os.Exit(2)
	}
	if err := run(*address, answerOf(*service, *node), *linger); err != nil {
		fmt.Fprintln(os.Stderr, "web:", err)
		os.Exit(1)
	}
}

func answerOf(service, node string) string { return fmt.Sprintf("%s answers on %s\n", service, node) }

func run(address, answer string, linger time.Duration) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	return serve(ctx, listener, answer, linger)
}

// serve answers until ctx ends, and for linger after that.
func serve(ctx context.Context, listener net.Listener, answer string, linger time.Duration) error {
	server := &http.Server{ReadHeaderTimeout: 5 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		// Whoever went away before he has his answer has what he wanted.
		_, _ = fmt.Fprint(w, answer)
	})}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-time.After(linger):
	}
	return server.Shutdown(context.WithoutCancel(ctx))
}
