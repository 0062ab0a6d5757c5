// Command lab-traffic is one side of the traffic of internal/testenv/traffic, for a
// network namespace.
//
//	lab-traffic serve -health FOLDER NAME=ADDRESS:PORT...
//	lab-traffic ask -target ADDRESS:PORT -rate 5000 -streams 20
//	lab-traffic try ADDRESS:PORT...
//
// The first says "ready" and answers until it is killed. The second prints a report
// for each line of its standard input, and a last one at its end. The third asks each
// once and prints who answered.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/traffic"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "lab-traffic:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("wants serve, ask or try")
	}
	switch args[0] {
	case "serve":
		return serve(args[1:])
	case "ask":
		return ask(args[1:])
	case "try":
		return try(args[1:])
	default:
		return fmt.Errorf("wants serve, ask or try, not %s", args[0])
	}
}

func serve(args []string) error {
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	health := flags.String("health", "", "`folder` with what is said to health checks; empty to answer none")
	if err := flags.Parse(args); err != nil {
		return err
	}
	backends := flags.Args()
	ended := make(chan error, 1)
	for _, backend := range backends {
		name, address, _ := strings.Cut(backend, "=")
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		go func() { ended <- traffic.Serve(listener, name, *health) }()
	}
	fmt.Println("ready")
	return <-ended
}

func ask(args []string) error {
	options := traffic.Options{}
	flags := flag.NewFlagSet("ask", flag.ExitOnError)
	flags.StringVar(&options.Target, "target", "", "`address:port` that is asked")
	flags.IntVar(&options.Rate, "rate", 100, "requests in a second")
	flags.DurationVar(&options.Timeout, "timeout", 5*time.Second, "how long a request may take")
	flags.DurationVar(&options.Think, "think", 0, "for how long a client has a connection before it asks")
	flags.IntVar(&options.Streams, "streams", 0, "connections that live all the time")
	flags.DurationVar(&options.Every, "every", 100*time.Millisecond, "how often each stream has a line returned")
	if err := flags.Parse(args); err != nil {
		return err
	}
	return traffic.Obey(options, os.Stdin, os.Stdout)
}

func try(targets []string) error {
	for _, target := range targets {
		by, err := traffic.Try(target, time.Second)
		if err != nil {
			return fmt.Errorf("ask %s: %w", target, err)
		}
		fmt.Println(target, by)
	}
	return nil
}
