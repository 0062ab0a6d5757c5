package narrator

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
	"github.com/capstan-k8s/capstan/internal/testenv/probe"
)

// visitTimeout is how long one answer may take.
const visitTimeout = 2 * time.Second

// Visit asks the Service through its virtual address until every worker of the
// cluster has answered, and nobody else.
func (n *Narrator) Visit(ctx context.Context, cluster client.ObjectKey, vip netip.Addr) error {
	workers, err := n.Workers(ctx, cluster)
	if err != nil {
		return err
	}
	began, asked, by := time.Now(), 0, map[string]int{}
	for ; len(by) < len(workers); asked++ {
		answer, err := askOnce(ctx, URLOf(vip))
		if err != nil {
			return fmt.Errorf("asking Service %s on %s: %w", ServiceName, vip, err)
		}
		if asked == 0 {
			n.Screen.Step(fmt.Sprintf("curl %s: %s", URLOf(vip), answer))
		}
		node, err := NodeOf(answer)
		if err != nil {
			return err
		}
		if !slices.Contains(workers, node) {
			return fmt.Errorf("%s answers for Service %s, where only workers should: %s", node, ServiceName, strings.Join(workers, ", "))
		}
		by[node]++
	}
	n.Screen.Step(fmt.Sprintf("asked %d times in %d ms, each on a new connection; answered by %s", asked, time.Since(began).Milliseconds(), counts(by)))
	carrier, err := carrierOf(vip)
	if err != nil {
		return err
	}
	n.Screen.Step(carrier)
	return nil
}

// URLOf is where the Service answers.
func URLOf(vip netip.Addr) string { return "http://" + vip.String() }

// Workers are the nodes that take connections to Services, by what the cluster itself
// says of them.
func (n *Narrator) Workers(ctx context.Context, cluster client.ObjectKey) ([]string, error) {
	nodes, err := n.Nodes(ctx, cluster)
	if err != nil {
		return nil, err
	}
	var workers []string
	for _, node := range nodes {
		if _, excluded := node.Labels[corev1.LabelNodeExcludeBalancers]; !excluded {
			workers = append(workers, node.Name)
		}
	}
	return workers, nil
}

// askOnce asks on a connection of its own, and returns the first line of the answer.
func askOnce(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, visitTimeout)
	defer cancel()
	visitor := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := visitor.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("reading the answer: %w", err)
	}
	line, _, _ := strings.Cut(string(body), "\n")
	return line, nil
}

// NodeOf returns the node that has answered. What stands in for the pods says which
// Service it takes itself for, and where it is.
func NodeOf(answer string) (string, error) {
	node, ok := strings.CutPrefix(strings.TrimSpace(answer), "default/"+ServiceName+" answers on ")
	if !ok || strings.ContainsAny(node, " \n") {
		return "", fmt.Errorf("%.100q is no answer of Service %s", answer, ServiceName)
	}
	return node, nil
}

func counts(by map[string]int) string {
	var parts []string
	for _, node := range slices.Sorted(maps.Keys(by)) {
		parts = append(parts, fmt.Sprintf("%s %d", node, by[node]))
	}
	return strings.Join(parts, ", ")
}

// carrierOf says what stands between the virtual address and the nodes.
func carrierOf(vip netip.Addr) (string, error) {
	programs, err := listenersOn(vip)
	if err != nil {
		return "", err
	}
	switch {
	case slices.Contains(programs, "haproxy"):
		return fmt.Sprintf("%s is listened on by the HAProxy of a load-balancer VM, which connects to the Service's port on the nodes", vip), nil
	case len(programs) > 0:
		return fmt.Sprintf("%s is listened on by %q, which stands in for the HAProxy that is not installed here", vip, programs[0]), nil
	}
	return "", fmt.Errorf("nobody listens on %s, port %d", vip, servicePort)
}

func listenersOn(vip netip.Addr) ([]string, error) {
	return demoenv.ListenersOn(netip.AddrPortFrom(vip, servicePort))
}

// KeepVisiting asks the Service again and again, until it is stopped.
func (n *Narrator) KeepVisiting(ctx context.Context, vip netip.Addr) (*probe.Probe, error) {
	asking, err := probe.Start(ctx, probe.Options{URL: URLOf(vip), Judge: func(answer string) error {
		_, err := NodeOf(answer)
		return err
	}})
	if err != nil {
		return nil, err
	}
	n.Screen.Step(fmt.Sprintf("and so is Service %s, with curl %s", ServiceName, URLOf(vip)))
	return asking, nil
}
