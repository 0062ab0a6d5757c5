package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"
)

func main() {
	var b builder
	description := flag.String("description", "images/linux/image.yaml", "`file` that says what is in the image")
	flag.StringVar(&b.root, "source", ".", "top `folder` of the repository")
	flag.StringVar(&b.cache.dir, "dir", ".cache/image", "`folder` for all that is written")
	flag.StringVar(&b.mirror, "mirror", "", "`URL` of a Debian mirror to build from; guests keep the description's")
	flag.StringVar(&b.securityMirror, "security-mirror", "", "`URL` of a mirror of Debian's security updates to build from")
	treeOnly := flag.Bool("tree-only", false, "end with the tree and its squashfs, without disks")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintln(os.Stderr, "image: takes no arguments; see --help, or use make image")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := b.run(ctx, *description, *treeOnly)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "image: %v\n", err)
		os.Exit(1)
	}
}

// builder makes one image.
type builder struct {
	root                   string
	mirror, securityMirror string
	cache                  cache
	description            *description
}

func (b *builder) run(ctx context.Context, path string, treeOnly bool) error {
	if os.Geteuid() != 0 {
		return errors.New("needs root: a root file system is full of files that are root's")
	}
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("makes images for amd64, and builds their programs for where it runs: %s", runtime.GOARCH)
	}
	began := time.Now()
	var err error
	if b.description, err = load(path); err != nil {
		return err
	}
	if err := b.description.pinned(b.root); err != nil {
		return err
	}
	release, err := b.cache.open(ctx)
	if err != nil {
		return err
	}
	defer release()

	tree, err := b.tree(ctx)
	if err != nil {
		return err
	}
	packed, err := b.squashfs(ctx, tree)
	if err != nil {
		return err
	}
	var disks string
	if !treeOnly {
		if disks, err = b.disks(ctx, tree); err != nil {
			return err
		}
	}
	if err := b.cache.finish(); err != nil {
		return err
	}
	if treeOnly {
		fmt.Printf("RESULT tree=%s squashfs=%s seconds=%.0f\n", tree, packed, time.Since(began).Seconds())
		return nil
	}
	return b.report(disks, time.Since(began))
}
