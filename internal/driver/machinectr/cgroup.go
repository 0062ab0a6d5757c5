package machinectr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// cgroupFolder is what all control groups of this package lie below.
const cgroupFolder = "capstan-machinectr"

// settle is how often the kernel is looked at while something in it ends.
const settle = 5 * time.Millisecond

// cgroups are the control groups of a host's guests. A guest runs as long as a
// process is in its group, and no process of a guest can leave it: that is what
// tells a guest from whatever got its process IDs later.
type cgroups struct {
	host string
	// mounts are the hierarchies: the one of cgroup v2, or those of v1 by their
	// controllers.
	mounts []hierarchy
	v2     bool
}

type hierarchy struct {
	path        string
	controllers []string
}

func findCgroups(host string) (cgroups, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return cgroups{}, fmt.Errorf("look for control groups: %w", err)
	}
	g, err := parseCgroups(host, string(text))
	if err != nil || !g.v2 {
		return g, err
	}
	// A machine may have them elsewhere, and then guests go without limits.
	have, err := os.ReadFile(filepath.Join(g.mounts[0].path, "cgroup.controllers"))
	g.mounts[0].controllers = strings.Fields(string(have))
	return g, err
}

func parseCgroups(host, mountinfo string) (cgroups, error) {
	g := cgroups{host: host, v2: true}
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			continue
		}
		h := hierarchy{path: left[4]}
		switch right[0] {
		case "cgroup":
			g.v2 = false
			h.controllers = strings.Split(right[2], ",")
		case "cgroup2":
		default:
			continue
		}
		if !slices.ContainsFunc(g.mounts, func(have hierarchy) bool { return have.path == h.path }) {
			g.mounts = append(g.mounts, h)
		}
	}
	if len(g.mounts) == 0 {
		return g, errors.New("look for control groups: none are mounted")
	}
	// Any hierarchy tells which processes there are; the first one is asked.
	slices.SortStableFunc(g.mounts, func(a, b hierarchy) int { return len(b.controllers) - len(a.controllers) })
	return g, nil
}

func (g cgroups) of(h hierarchy, id hostapi.VMID) string {
	return filepath.Join(h.path, cgroupFolder, g.host, string(id))
}

// launcher is where launch.sh begins, and nspawn where it goes on from there.
// On v1 that is the VM's group. On v2 a group has processes or groups below it.
func (g cgroups) launcher(id hostapi.VMID) []string {
	if g.v2 {
		return []string{filepath.Join(g.of(g.mounts[0], id), "launcher")}
	}
	var out []string
	for _, h := range g.mounts {
		out = append(out, g.of(h, id))
	}
	return out
}

func (g cgroups) nspawn(id hostapi.VMID) string {
	if g.v2 {
		return filepath.Join(g.of(g.mounts[0], id), "guest")
	}
	return ""
}

// create makes the groups of a VM, with its processors and memory as limits.
func (g cgroups) create(id hostapi.VMID, processors int32, memoryMiB int64) error {
	for _, h := range g.mounts {
		group := g.of(h, id)
		if err := os.MkdirAll(group, 0o755); err != nil { //nolint:gosec // as the kernel's own
			return err
		}
		set := func(controller, file, value string) error {
			if !slices.Contains(h.controllers, controller) {
				return nil
			}
			return os.WriteFile(filepath.Join(group, file), []byte(value), 0o600)
		}
		const period = 100000
		memory, quota := strconv.FormatInt(memoryMiB<<20, 10), strconv.Itoa(int(processors)*period)
		var err error
		if g.v2 {
			g.delegate(h, id)
			err = errors.Join(
				set("memory", "memory.max", memory), set("cpu", "cpu.max", quota+" "+strconv.Itoa(period)),
				os.MkdirAll(filepath.Join(group, "launcher"), 0o755), os.MkdirAll(filepath.Join(group, "guest"), 0o755)) //nolint:gosec // likewise
		} else {
			err = errors.Join(
				g.inheritCPUs(h, id), set("memory", "memory.limit_in_bytes", memory), set("cpu", "cpu.cfs_quota_us", quota))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// levels are the groups from the topmost of this package down to a VM's.
func (g cgroups) levels(h hierarchy, id hostapi.VMID) []string {
	top := filepath.Join(h.path, cgroupFolder)
	return []string{top, filepath.Join(top, g.host), g.of(h, id)}
}

// delegate hands all controllers of v2 down to the VM's groups.
func (g cgroups) delegate(h hierarchy, id hostapi.VMID) {
	for _, group := range append([]string{h.path}, g.levels(h, id)...) {
		for _, controller := range h.controllers {
			// Some cannot be had below the root. The limits are set next, and tell.
			_ = os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+"+controller), 0o600)
		}
	}
}

// inheritCPUs gives the groups of a v1 hierarchy the processors of the one
// above: a new one has none, and takes no process.
func (g cgroups) inheritCPUs(h hierarchy, id hostapi.VMID) error {
	if !slices.Contains(h.controllers, "cpuset") {
		return nil
	}
	for _, group := range g.levels(h, id) {
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(filepath.Dir(group), file))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(group, file), value, 0o600); err != nil { //nolint:gosec // the kernel's own value, from the group above
				return err
			}
		}
	}
	return nil
}

// processes are those in a VM's group and in the groups that the guest made.
func (g cgroups) processes(id hostapi.VMID) ([]int, error) {
	var out []int
	err := filepath.WalkDir(g.of(g.mounts[0], id), func(path string, entry fs.DirEntry, err error) error {
		if gone(err) {
			return nil
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil && !gone(err) {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil {
				out = append(out, pid)
			}
		}
		return nil
	})
	return out, err
}

// gone tells whether a group or process ended while it was looked at.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV) || errors.Is(err, syscall.ESRCH)
}

func (g cgroups) busy(id hostapi.VMID) (bool, error) {
	pids, err := g.processes(id)
	return len(pids) > 0, err
}

// kill ends every process of a guest at once, and returns when none is left.
func (g cgroups) kill(ctx context.Context, id hostapi.VMID) error {
	return until(ctx, func() (bool, error) {
		pids, err := g.processes(id)
		if err != nil {
			return false, err
		}
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !gone(err) {
				return false, err
			}
		}
		return len(pids) == 0, nil
	})
}

// remove removes the groups of a VM, in which no process is any more.
func (g cgroups) remove(ctx context.Context, id hostapi.VMID) error {
	for _, h := range g.mounts {
		err := until(ctx, func() (bool, error) {
			err := removeGroup(g.of(h, id))
			// A process that has ended can be in the way for a moment.
			if errors.Is(err, syscall.EBUSY) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func removeGroup(group string) error {
	entries, err := os.ReadDir(group)
	if err != nil {
		if gone(err) {
			return nil
		}
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeGroup(filepath.Join(group, entry.Name())); err != nil {
				return err
			}
		}
	}
	return removeFile(group)
}

// until looks again and again until something in the kernel has settled.
func until(ctx context.Context, settled func() (bool, error)) error {
	ticker := time.NewTicker(settle)
	defer ticker.Stop()
	for {
		if done, err := settled(); done || err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
