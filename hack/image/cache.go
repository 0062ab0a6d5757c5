package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// cache keeps what steps made, each in a folder named by step and key.
type cache struct {
	dir string
	// mounts is the kernel's list of what is mounted; empty is that of this process.
	mounts string
}

// partial is how the names of folders begin that a step is filling.
const partial = ".part-"

// open waits until no other run uses the folder, and clears away what a killed one
// was filling.
func (c *cache) open(ctx context.Context) (release func(), err error) {
	if c.dir, err = filepath.Abs(c.dir); err != nil {
		return nil, fmt.Errorf("find cache: %w", err)
	}
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
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	began := time.Now()
	fmt.Printf("image: %s\n", name)
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
	fmt.Printf("image: %s, %.0f s\n", name, time.Since(began).Seconds())
	return dir, c.prune(name, dir)
}

// prune removes what a step made of other input, but for what is mounted.
func (c *cache) prune(name, keep string) error {
	old, err := filepath.Glob(filepath.Join(c.dir, name+"-"+strings.Repeat("?", keyLength)))
	if err != nil {
		return err
	}
	mounts, err := os.ReadFile(cmp.Or(c.mounts, "/proc/self/mountinfo"))
	if err != nil {
		return fmt.Errorf("see what is in use: %w", err)
	}
	for _, dir := range old {
		if dir == keep || strings.Contains(string(mounts), filepath.Base(dir)) {
			continue
		}
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove what is outdated: %w", err)
		}
	}
	return nil
}

// link gives a step's result a name that stays.
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

const keyLength = 12

// key is a hash over parts, each apart from the next.
func key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:keyLength]
}

// digest is the SHA-256 of a file.
func digest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// digestTree is a hash over the names, modes and content of the files below folders.
func digestTree(dirs ...string) (string, error) {
	var parts []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			sum, err := digest(file)
			parts = append(parts, file, info.Mode().String(), sum)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read %s: %w", dir, err)
		}
	}
	return key(parts...), nil
}
