package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// longest is what a user would wait for an answer, and then call it a failure.
const longest = 20 * time.Second

// command is a program as a user types it.
type command struct {
	name, program string
	args          []string
	// want is in what it prints.
	want string
}

// outcome is what became of the commands of one name.
type outcome struct {
	asked    int
	slowest  time.Duration
	failures []error
}

// asking is several users at work. Each types the next command as soon as the one
// before has ended.
type asking struct {
	stop    context.CancelFunc
	running sync.WaitGroup

	mu       sync.Mutex
	outcomes map[string]*outcome
}

func ask(ctx context.Context, users ...[]command) *asking {
	ctx, stop := context.WithCancel(ctx)
	a := &asking{stop: stop, outcomes: map[string]*outcome{}}
	for _, types := range users {
		a.running.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				a.run(ctx, types[i%len(types)])
			}
		})
	}
	return a
}

// run runs a command to its end. One that Stop cuts off is not counted.
func (a *asking) run(ctx context.Context, c command) {
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	cmd := exec.CommandContext(limited, c.program, c.args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	began := time.Now()
	err := cmd.Run()
	if ctx.Err() != nil {
		return
	}
	if err == nil && !strings.Contains(stdout.String(), c.want) {
		err = fmt.Errorf("no %q in its answer %.200q", c.want, stdout.String())
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	o := a.outcomes[c.name]
	if o == nil {
		o = &outcome{}
		a.outcomes[c.name] = o
	}
	o.asked++
	o.slowest = max(o.slowest, time.Since(began))
	if err != nil {
		o.failures = append(o.failures, fmt.Errorf("%s, begun at %s, ended after %d ms: %w: %s",
			c.name, began.Format("15:04:05.000"), time.Since(began).Milliseconds(), err, strings.TrimSpace(stderr.String())))
	}
}

// Stop waits for no command that has begun, and returns how all others went.
func (a *asking) Stop() report {
	a.stop()
	a.running.Wait()
	return a.outcomes
}

type report map[string]*outcome

// check returns an error for each command that failed, and for each that did not run
// often enough to tell anything.
func (r report) check(names []string, atLeast int) error {
	var errs []error
	for _, name := range names {
		o := r[name]
		if o == nil {
			o = &outcome{}
		}
		errs = append(errs, o.failures...)
		if o.asked < atLeast {
			errs = append(errs, fmt.Errorf("%s was run %d times: too few to tell anything", name, o.asked))
		}
	}
	return errors.Join(errs...)
}

// curlFiles writes what curl takes in place of a kubeconfig, and returns its arguments.
func curlFiles(dir string, kubeconfig []byte) (config *rest.Config, args []string, err error) {
	config, err = clientcmd.RESTConfigFromKubeConfig(kubeconfig)
	if err != nil {
		return nil, nil, err
	}
	args = []string{"--silent", "--show-error", "--fail"}
	for _, file := range []struct {
		flag, name string
		data       []byte
	}{
		{"--cacert", "ca.crt", config.CAData}, {"--cert", "client.crt", config.CertData}, {"--key", "client.key", config.KeyData},
	} {
		path := filepath.Join(dir, file.name)
		if err := os.WriteFile(path, file.data, 0o600); err != nil {
			return nil, nil, err
		}
		args = append(args, file.flag, path)
	}
	return config, args, nil
}
