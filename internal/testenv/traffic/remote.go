package traffic

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
)

// Obey asks on behalf of the process at the other end: it sends a report for each
// line that it reads and a last one when there are no more.
func Obey(options Options, in io.Reader, out io.Writer) error {
	asking := Ask(options)
	reports := json.NewEncoder(out)
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if err := reports.Encode(asking.Report()); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	return errors.Join(lines.Err(), reports.Encode(asking.Stop()))
}

// Remote is a client at work in another process.
type Remote struct {
	mu      sync.Mutex
	process *exec.Cmd
	orders  io.WriteCloser
	reports *json.Decoder
}

// AskThere starts a process that obeys. Its command is not started yet.
func AskThere(process *exec.Cmd) (*Remote, error) {
	orders, err := process.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := process.Start(); err != nil {
		return nil, fmt.Errorf("start traffic: %w", err)
	}
	return &Remote{process: process, orders: orders, reports: json.NewDecoder(out)}, nil
}

// Report returns how things stand there.
func (r *Remote) Report() (Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.orders.Write([]byte("\n")); err != nil {
		return Report{}, fmt.Errorf("ask for a report: %w", err)
	}
	var report Report
	if err := r.reports.Decode(&report); err != nil {
		return Report{}, fmt.Errorf("read report: %w", err)
	}
	return report, nil
}

// Stop ends the process and returns its last report.
func (r *Remote) Stop() (Report, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	closed := r.orders.Close()
	var report Report
	err := r.reports.Decode(&report)
	return report, errors.Join(closed, err, r.process.Wait())
}
