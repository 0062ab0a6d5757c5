package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	var c check
	flag.StringVar(&c.image, "image", ".cache/image/node.vhdx", "`disk` to boot; nothing is written to it")
	flag.StringVar(&c.firmware, "firmware", "/usr/share/OVMF", "`folder` of OVMF's firmware")
	flag.BoolVar(&c.secureBoot, "secure-boot", false, "let the firmware verify boot loader and kernel")
	flag.StringVar(&c.console, "console", ".cache/image/console.log", "`file` for what the guest says")
	flag.DurationVar(&c.timeout, "timeout", 10*time.Minute, "how long each boot may take")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "image-check: takes no arguments; see --help, or use make image-check")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	took, err := c.run(ctx)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "image-check: %v\nRESULT boot=failed console=%s\n", err, c.console)
		os.Exit(1)
	}
	fmt.Printf("RESULT boot=ok seconds=%.0f\n", took.Seconds())
}

// run boots twice and gives the time of the first boot, until cloud-init's end.
func (c *check) run(ctx context.Context) (took time.Duration, err error) {
	dir, err := os.MkdirTemp("", "capstan-image-check-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	console, err := os.Create(c.console)
	if err != nil {
		return 0, fmt.Errorf("write console: %w", err)
	}
	defer func() { err = errors.Join(err, console.Close()) }()

	seed := filepath.Join(dir, "seed.iso")
	if err := writeSeed(seed); err != nil {
		return 0, err
	}
	if err := c.prepare(ctx, dir); err != nil {
		return 0, err
	}
	first, took, err := c.boot(ctx, dir, seed, console)
	if err != nil {
		return 0, fmt.Errorf("first boot: %w", err)
	}
	if err := first.expected(true); err != nil {
		return 0, fmt.Errorf("first boot: %w", err)
	}
	fmt.Printf("first boot, with the seed: %.0f s to cloud-init's end: %v\n", took.Seconds(), first)
	second, again, err := c.boot(ctx, dir, "", console)
	if err != nil {
		return 0, fmt.Errorf("second boot: %w", err)
	}
	if err := second.expected(false); err != nil {
		return 0, fmt.Errorf("second boot, without the seed: %w", err)
	}
	fmt.Printf("second boot, without the seed: %.0f s: %v\n", again.Seconds(), second)
	return took, second.same(first)
}
