package traffic

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options is what is asked of whom.
type Options struct {
	// Target is an address and a port.
	Target string
	// Rate is how many requests begin in a second, however long their answers take.
	Rate int
	// Timeout is how long one may take.
	Timeout time.Duration
	// Think is for how long a client has a connection before it asks. By default it asks
	// at once.
	Think time.Duration
	// Streams is how many connections live all the time, and Every how often each has
	// a line returned.
	Streams int
	Every   time.Duration
}

// Asking is a client at work.
type Asking struct {
	options Options
	tally   *tally
	dialer  net.Dialer
	number  atomic.Int64
	cancel  context.CancelFunc
	all     sync.WaitGroup
}

// Ask begins to ask.
func Ask(options Options) *Asking {
	ctx, cancel := context.WithCancel(context.Background())
	// Keep-alives are for connections that rest; these never do.
	a := &Asking{options: options, tally: newTally(), cancel: cancel, dialer: net.Dialer{Timeout: options.Timeout, KeepAlive: -1}}
	a.tally.report.Streams = int64(options.Streams)
	for range options.Streams {
		a.all.Go(func() { a.stream(ctx) })
	}
	if options.Rate > 0 {
		a.all.Go(func() { a.requests(ctx) })
	}
	return a
}

// Report returns how things stand.
func (a *Asking) Report() Report { return a.tally.snapshot() }

// Stop sends nothing more, waits for what is on its way and returns the last
// report.
func (a *Asking) Stop() Report {
	a.cancel()
	a.all.Wait()
	return a.Report()
}

// requests begins requests when they are due. Those that the asking side could not
// begin in time it leaves out and counts: all at once, they would be another load
// than the one that was wanted.
func (a *Asking) requests(ctx context.Context) {
	const tick, patience = time.Millisecond, 20 * time.Millisecond
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	most := max(int64(patience.Seconds()*float64(a.options.Rate)), 1)
	began, begun := time.Now(), int64(0)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			due := int64(now.Sub(began).Seconds() * float64(a.options.Rate))
			if late := due - begun - most; late > 0 {
				a.tally.count(&a.tally.report.Late, late)
				begun += late
			}
			for ; begun < due; begun++ {
				a.all.Go(a.request)
			}
		}
	}
}

func (a *Asking) request() {
	began := time.Now()
	a.tally.count(&a.tally.report.Asked, 1)
	by, from, err := a.ask(began)
	if err != nil {
		a.tally.failed(err)
		return
	}
	a.tally.answered(by, from, began, time.Now())
}

func (a *Asking) ask(began time.Time) (by, from string, err error) {
	conn, err := a.dialer.Dial("tcp", a.options.Target)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(began.Add(a.options.Timeout)); err != nil {
		return "", "", err
	}
	if a.options.Think > 0 {
		<-time.After(a.options.Think)
	}
	number := strconv.FormatInt(a.number.Add(1), 10)
	if _, err := conn.Write([]byte(string(request) + number + "\n")); err != nil {
		return "", "", err
	}
	answer, err := readAll(conn)
	if err != nil {
		return "", "", err
	}
	words := strings.Fields(answer)
	if len(words) != 3 || words[0] != number || !strings.HasSuffix(answer, "\n") {
		return "", "", fmt.Errorf("the answer has %d bytes and is not whole", len(answer))
	}
	return words[1], words[2], nil
}

func readAll(r io.Reader) (string, error) {
	var buffer [128]byte
	n := 0
	for n < len(buffer) {
		m, err := r.Read(buffer[n:])
		n += m
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	return string(buffer[:n]), nil
}

// reason is what happened, without the ports that make each error another one.
func reason(err error) string {
	var op *net.OpError
	if errors.As(err, &op) {
		return op.Op + ": " + op.Err.Error()
	}
	return err.Error()
}
