package machinectr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// change is the one way by which the driver changes its machine. Each call is one
// effect: a driver that is cut off between two calls goes on from there.
func (d *Driver) change(ctx context.Context, effect func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if d.before != nil {
		if err := d.before(); err != nil {
			return err
		}
	}
	return effect()
}

// putJSON makes path hold a record. It has the old content or the new one, at
// any moment.
func putJSON(path string, record any) error {
	data, err := json.Marshal(record)
	if err != nil {
		return err
	}
	part := path + ".part"
	if err := writeSynced(part, data); err != nil {
		return errors.Join(err, removeFile(part))
	}
	return os.Rename(part, path)
}

// writeSynced writes a file that is whole when it gets another name, also if the
// machine loses power then.
func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// getJSON reads a record. What is not there is none; what cannot be understood
// is the zero value, which bears no stamp.
func getJSON[T any](path string) (*T, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var record T
	if json.Unmarshal(data, &record) != nil {
		record = *new(T)
	}
	return &record, nil
}

func removeFile(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// removeEmpty removes a folder unless somebody put something into it.
func removeEmpty(path string) error {
	err := removeFile(path)
	if errors.Is(err, syscall.ENOTEMPTY) {
		return nil
	}
	return err
}

// run runs a program of the machine. Its error has what the program said.
func run(ctx context.Context, program string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, program, args...) //nolint:gosec // the programs are constants, and no shell reads their arguments
	// Debian keeps some of them where not every root's PATH leads.
	cmd.Env = append(os.Environ(), "LC_ALL=C", "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	if path, err := lookPath(program); err == nil {
		cmd.Path, cmd.Err = path, nil
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s: %w: %s", program, err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

func lookPath(program string) (string, error) {
	path, err := exec.LookPath(program)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		path, err = exec.LookPath(filepath.Join(dir, program))
	}
	return path, err
}

// typed makes an error of the machine one of hostapi. volume is where it
// happened, or "".
func typed(op, volume, doing string, err error) error {
	if err == nil {
		return nil
	}
	class, resource := hostapi.Transient, ""
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), volume == "":
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		class, resource = hostapi.OutOfCapacity, hostapi.ResourceVolume
	case errors.Is(err, syscall.EIO), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.ESTALE):
		class, resource = hostapi.VolumeFaulted, volume
	}
	var already *hostapi.Error
	if errors.As(err, &already) {
		class, resource = already.Class, already.Resource
	}
	return hostapi.Errorf(class, op, resource, "%s: %w", doing, err)
}
