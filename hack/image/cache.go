package main

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// cache keeps what steps made, each in a folder named by step and key.
type cache struct {
	dir string
	// mounts is a pattern of the kernel's lists of what is mounted; empty is those of all processes.
	mounts string
	// used are the folders that this run asked for.
	used map[string]bool
	// names are what stays for others to find, and what each means after this run.
	names map[string]string
}

// partial is how the names of folders begin that a step is filling.
const partial = ".part-"

// open waits until no other run uses the folder, and clears away what a killed one
// was filling.
func (c *cache) open(ctx context.Context) (release func(), err error) {
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return nil, fmt.Errorf("find cache: %w", err)
	}
	c.used, c.names = map[string]bool{}, map[string]string{}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make cache: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(c.dir, ".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock cache: %w", err)
	}
	release = func() { _ = lock.Close() }
	if err := wait(ctx, lock); err != nil {
		release()
		return nil, err
	}
	left, err := filepath.Glob(filepath.Join(c.dir, partial+"*"))
	for _, dir := range left {
		if err = os.RemoveAll(dir); err != nil {
			break
		}
	}
	if err != nil {
		release()
		return nil, fmt.Errorf("clear what an earlier run left: %w", err)
	}
	return release, nil
}

// wait locks a file, and can be interrupted.
func wait(ctx context.Context, file *os.File) error {
	retry := time.NewTicker(500 * time.Millisecond)
	defer retry.Stop()
	for said := false; ; said = true {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if err != syscall.EWOULDBLOCK {
			return fmt.Errorf("lock cache: %w", err)
		}
		if !said {
			fmt.Println("image: waiting for another run that makes or boots an image")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-retry.C:
		}
	}
}

// step returns the folder of a step and key, which make fills if it is not there.
func (c *cache) step(ctx context.Context, name, key string, fill func(ctx context.Context, dir string) error) (string, error) {
	dir := filepath.Join(c.dir, name+"-"+key)
	c.used[dir] = true
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	done := begin(name)
	part, err := os.MkdirTemp(c.dir, partial+name+"-")
	if err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	defer func() { _ = os.RemoveAll(part) }()
	if err := fill(ctx, part); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if err := os.Chmod(part, 0o755); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	if err := os.Rename(part, dir); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	done()
	return dir, nil
}

// begin says that something begins, and done how long it took: by the clock, and by the
// processors, which other work on the machine does not change much.
func begin(name string) (done func()) {
	fmt.Printf("image: %s\n", name)
	began, worked := time.Now(), processorTime()
	return func() {
		fmt.Printf("image: %s, %.0f s, of processors %.0f s\n", name, time.Since(began).Seconds(), (processorTime() - worked).Seconds())
	}
}

// processorTime is that of all programs that were run and have ended.
func processorTime() time.Duration {
	var used syscall.Rusage
	// Of the faults it has none can come about here.
	_ = syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// name has a step's result found by a name that stays, once the run has come to its end.
func (c *cache) name(name, target string) { c.names[name] = target }

// finish gives the results their names, and removes what earlier runs made and nobody
// needs any more. Until then whoever uses the results before has them whole.
func (c *cache) finish() error {
	for _, name := range slices.Sorted(maps.Keys(c.names)) {
		if err := c.link(name, c.names[name]); err != nil {
			return err
		}
	}
	return c.prune()
}

func (c *cache) link(name, target string) error {
	aside := filepath.Join(c.dir, partial+name)
	relative, err := filepath.Rel(c.dir, target)
	if err == nil {
		err = os.Symlink(relative, aside)
	}
	if err == nil {
		err = os.Rename(aside, filepath.Join(c.dir, name))
	}
	if err != nil {
		return fmt.Errorf("name %s: %w", name, err)
	}
	return nil
}

// stepFolder is how folders of steps are called, also of those that are no longer taken.
var stepFolder = regexp.MustCompile(fmt.Sprintf(`^[a-z0-9]+(-[a-z0-9]+)*-[0-9a-f]{%d}$`, keyLength))

// prune removes the folders of steps that this run did not ask for, but for what has a
// name, as disks have after a run that made none, and for what is mounted.
func (c *cache) prune() error {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return fmt.Errorf("see what is outdated: %w", err)
	}
	var named []string
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(c.dir, e.Name())); err == nil {
			named = append(named, strings.Split(target, "/")[0])
		}
	}
	mounted := c.mounted()
	for _, e := range entries {
		dir := filepath.Join(c.dir, e.Name())
		if !e.IsDir() || !stepFolder.MatchString(e.Name()) || c.used[dir] || slices.Contains(named, e.Name()) || strings.Contains(mounted, e.Name()) {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove what is outdated: %w", err)
		}
	}
	return nil
}

// mounted is what the kernel says is mounted, for any process: containers have lists of
// their own. A process that has gone meanwhile has nothing mounted.
func (c *cache) mounted() string {
	var all strings.Builder
	// The one fault there is would be in the pattern.
	lists, _ := filepath.Glob(cmp.Or(c.mounts, "/proc/[0-9]*/mountinfo"))
	for _, list := range lists {
		if text, err := os.ReadFile(list); err == nil {
			all.Write(text)
		}
	}
	return all.String()
}
