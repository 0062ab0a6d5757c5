package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/capstan-k8s/capstan/internal/testenv/demoenv"
)

// usage is what a process has used since its start.
type usage struct {
	cpu time.Duration
	// rss is what it holds in memory, peak the most that it ever held.
	rssMiB, peakMiB int64
}

// clockTick is the unit of times in /proc, the same on all of Linux.
const clockTick = 10 * time.Millisecond

// usageOf reads the usage of each process by its name. All agents count as one
// process.
func usageOf(processes []*demoenv.Process) (map[string]usage, error) {
	all := map[string]usage{}
	for _, p := range processes {
		name := p.Name
		if strings.HasPrefix(name, "agent-") {
			name = "agents"
		}
		used, err := readUsage(p.PID())
		if err != nil {
			return nil, fmt.Errorf("reading what %s uses: %w", p.Name, err)
		}
		all[name] = all[name].plus(used)
	}
	own, err := readUsage(os.Getpid())
	if err != nil {
		return nil, err
	}
	all["scale"] = own
	return all, nil
}

func (u usage) plus(other usage) usage {
	return usage{cpu: u.cpu + other.cpu, rssMiB: u.rssMiB + other.rssMiB, peakMiB: u.peakMiB + other.peakMiB}
}

func readUsage(pid int) (usage, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return usage{}, err
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return usage{}, err
	}
	return parseUsage(string(stat), string(status))
}

func parseUsage(stat, status string) (usage, error) {
	var used usage
	// The name of the program may hold anything, so fields are counted from its end.
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const user, system = 11, 12
	if len(fields) <= system {
		return usage{}, fmt.Errorf("%q is no line of /proc/PID/stat", stat)
	}
	for _, field := range []string{fields[user], fields[system]} {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("reading CPU time: %w", err)
		}
		used.cpu += time.Duration(ticks) * clockTick
	}
	for line := range strings.Lines(status) {
		name, value, _ := strings.Cut(line, ":")
		target := map[string]*int64{"VmRSS": &used.rssMiB, "VmHWM": &used.peakMiB}[name]
		if target == nil {
			continue
		}
		kib, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return usage{}, fmt.Errorf("reading memory: %w", err)
		}
		*target = kib >> 10
	}
	return used, nil
}
