package lblab

import (
	"bufio"
	"context"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

// serve starts the servers.
func (l *Lab) serve(ctx context.Context) (err error) {
	addresses, listen := []netip.Addr{}, []string{}
	for i := range servers {
		for _, a := range []netip.Addr{serverAddress(i), Six(serverAddress(i))} {
			addresses = append(addresses, a)
			for _, port := range []uint16{Port, NodePort} {
				listen = append(listen, fmt.Sprintf("s%d=%s", i, netip.AddrPortFrom(a, port)))
			}
		}
	}
	if l.Servers, err = l.Net.NewNode("servers", addresses...); err != nil {
		return err
	}
	cmd := l.Servers.Command(ctx, l.programs.Traffic, append([]string{"serve", "-health", l.Servers.Disk()}, listen...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start servers: %w", err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || strings.TrimSpace(line) != "ready" {
		return fmt.Errorf("start servers: they say %q: %w", line, err)
	}
	return nil
}

// Load asks the VIP so often in a second, and holds so many streams.
func (l *Lab) Load(ctx context.Context, rate, streams int) (*traffic.Remote, error) {
	return l.ask(ctx, "-rate", fmt.Sprint(rate), "-streams", fmt.Sprint(streams))
}

// Probe asks the VIP every few milliseconds and gives each request little time, so
// that the longest time without an answer is how long the VIP was away.
func (l *Lab) Probe(ctx context.Context) (*traffic.Remote, error) {
	return l.ask(ctx, "-rate", "200", "-timeout", (150 * time.Millisecond).String())
}

func (l *Lab) ask(ctx context.Context, args ...string) (*traffic.Remote, error) {
	target := netip.AddrPortFrom(VIP, Port).String()
	cmd := l.Client.Command(ctx, l.programs.Traffic, append([]string{"ask", "-target", target}, args...)...)
	cmd.Stderr = os.Stderr
	return traffic.AskThere(cmd)
}

// Try asks each address once and returns who answered.
func (l *Lab) Try(ctx context.Context, targets ...netip.AddrPort) (map[netip.AddrPort]string, error) {
	args := []string{"try"}
	for _, target := range targets {
		args = append(args, target.String())
	}
	out, err := l.Client.Command(ctx, l.programs.Traffic, args...).CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("try: %w: %s", err, out)
	}
	answers := map[netip.AddrPort]string{}
	for line := range strings.Lines(string(out)) {
		var target netip.AddrPort
		words := strings.Fields(line)
		if err := target.UnmarshalText([]byte(words[0])); err != nil {
			return nil, fmt.Errorf("try: %w", err)
		}
		answers[target] = words[1]
	}
	return answers, nil
}
