package traffic

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// streamTimeout is how long a stream may stand still before it counts as broken:
// longer than TCP needs to get over lost packets.
const streamTimeout = 10 * time.Second

// stream keeps one connection busy until ctx ends. One that breaks is counted and
// begun anew.
func (a *Asking) stream(ctx context.Context) {
	for ctx.Err() == nil {
		if err := a.hold(ctx); err != nil {
			a.tally.broken(err)
			select {
			case <-ctx.Done():
			case <-time.After(a.options.Every):
			}
		}
	}
}

func (a *Asking) hold(ctx context.Context) error {
	conn, err := net.DialTimeout("tcp", a.options.Target, streamTimeout)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte{stream}); err != nil {
		return err
	}
	lines := bufio.NewReader(conn)
	ticker := time.NewTicker(a.options.Every)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		if err := conn.SetDeadline(time.Now().Add(streamTimeout)); err != nil {
			return err
		}
		sent := fmt.Sprintf("%d\n", n)
		if _, err := conn.Write([]byte(sent)); err != nil {
			return err
		}
		got, err := lines.ReadString('\n')
		if err != nil {
			return err
		}
		if got != sent {
			return errors.New("another line came back")
		}
		a.tally.count(&a.tally.report.Echoes, 1)
	}
}
