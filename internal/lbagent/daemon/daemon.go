package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Change is a change that the daemon's own program has found no fault with. Nothing
// has changed yet.
type Change interface {
	// Commit puts it in force: first in the file, then in the daemon that runs. After
	// an error the file is the one before, and the caller commits what was before.
	Commit(ctx context.Context) error
}

// ReplaceFile replaces a file whole or not at all. It is on the disk when it
// returns: after a power loss the daemon comes up with it alone.
func ReplaceFile(path, content string) error {
	temp, err := os.CreateTemp(filepath.Dir(path), begun(path)+"*")
	if err != nil {
		return err
	}
	if _, err = temp.WriteString(content); err == nil {
		err = errors.Join(temp.Chmod(0o644), temp.Sync())
	}
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// begun is how the names of files begin that are to replace another.
func begun(path string) string { return "." + filepath.Base(path) + "-" }

// Sweep removes what replacements that were cut short, by a power loss, left beside
// these files. Nobody may be replacing them.
func Sweep(paths ...string) error {
	for _, path := range paths {
		beside, err := os.ReadDir(filepath.Dir(path))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("look for remains of %s: %w", path, err)
		}
		for _, file := range beside {
			if !strings.HasPrefix(file.Name(), begun(path)) && file.Name() != filepath.Base(path)+".next" {
				continue
			}
			if err := os.Remove(filepath.Join(filepath.Dir(path), file.Name())); err != nil {
				return fmt.Errorf("remove remains of %s: %w", path, err)
			}
		}
	}
	return nil
}

// ReadFile returns what a file holds, nothing where there is none.
func ReadFile(path string) (string, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(content), err
}

// Judge has a program judge a file that is to replace another: args are the
// program's, but for the name of the candidate, which comes last.
func Judge(ctx context.Context, file, content, program string, args ...string) error {
	candidate := file + ".next"
	if err := ReplaceFile(candidate, content); err != nil {
		return fmt.Errorf("write candidate for %s: %w", file, err)
	}
	return errors.Join(run(ctx, program, append(args, candidate)...), os.Remove(candidate))
}

func run(ctx context.Context, program string, args ...string) error {
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput() //nolint:gosec // the program is the operator's choice
	if err == nil {
		return nil
	}
	if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) {
		return fmt.Errorf("check configuration: %w", err)
	}
	return fmt.Errorf("%s refuses the configuration: %s", filepath.Base(program), Shortened(complaints(string(out))))
}

// complaints leaves out what is said besides, where it can be told apart.
func complaints(text string) string {
	var alerts []string
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "[ALERT]") {
			alerts = append(alerts, strings.TrimPrefix(line, "[ALERT]"))
		}
	}
	if len(alerts) == 0 {
		return text
	}
	return strings.Join(alerts, " ")
}

// Shortened returns what a daemon said on one line of plain text, and not at
// length.
func Shortened(text string) string {
	const most = 400
	text = strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return ' '
		}
		return r
	}, text)), " ")
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

// Pause waits until it is time to look again, and tells whether ctx lets there be
// another look.
func Pause(ctx context.Context) bool {
	timer := time.NewTimer(10 * time.Millisecond)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
