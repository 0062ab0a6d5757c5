package machinehosts

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Guest is a machine container that runs.
type Guest struct {
	// Host is the host that has it, ID its VM's.
	Host, ID string
	// Init is its first process, as this machine sees it.
	Init int
	// Console is the file of its console.
	Console string
}

// Guests are all that run, whatever their hosts' agents say.
func (h *Hosts) Guests() ([]Guest, error) {
	hosts, err := h.known()
	if err != nil {
		return nil, err
	}
	var guests []Guest
	for _, host := range hosts {
		o := h.options(host)
		folders, err := filepath.Glob(filepath.Join(o.RunDir, "guests", "*"))
		if err != nil {
			return nil, err
		}
		for _, folder := range folders {
			id := filepath.Base(folder)
			init, err := initOf(o.Host, id)
			if err != nil {
				return nil, err
			}
			if init > 0 {
				guests = append(guests, Guest{Host: host, ID: id, Init: init, Console: filepath.Join(folder, "console.log")})
			}
		}
	}
	return guests, nil
}

// Guest is the one of a VM.
func (h *Hosts) Guest(id string) (Guest, error) {
	guests, err := h.Guests()
	if err != nil {
		return Guest{}, err
	}
	if i := slices.IndexFunc(guests, func(g Guest) bool { return g.ID == id }); i >= 0 {
		return guests[i], nil
	}
	return Guest{}, fmt.Errorf("no guest runs of VM %s", id)
}

// Consoles are the console files of all guests, those too that run no more, by the
// IDs of their VMs.
func (h *Hosts) Consoles() (map[string]string, error) {
	files, err := filepath.Glob(filepath.Join(runDir, "*", "guests", "*", "console.log"))
	consoles := map[string]string{}
	for _, file := range files {
		consoles[filepath.Base(filepath.Dir(file))] = file
	}
	return consoles, err
}

// Run runs a program in the guest, as its root would, and returns what it prints.
func (g Guest) Run(ctx context.Context, args ...string) (string, error) {
	command := append([]string{"-t", strconv.Itoa(g.Init), "-a", "env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}, args...)
	out, err := exec.CommandContext(ctx, "nsenter", command...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("running %q in the guest of VM %s: %w: %s", args, g.ID, err, out)
	}
	return string(out), nil
}

// initOf is the first process of a guest, 0 if there is none: of the processes in its
// control groups, that which is number 1 in a namespace one below this machine's.
func initOf(host, id string) (int, error) {
	for _, pattern := range []string{"/sys/fs/cgroup/capstan-machinectr", "/sys/fs/cgroup/*/capstan-machinectr"} {
		groups, err := filepath.Glob(filepath.Join(pattern, host, id))
		if err != nil {
			return 0, err
		}
		for _, group := range groups {
			if init := initIn(group); init > 0 {
				return init, nil
			}
		}
	}
	return 0, nil
}

// initIn looks for it in a control group and those below. What has ended meanwhile is
// not the one.
func initIn(group string) int {
	pids, _ := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	for line := range strings.Lines(string(pids)) {
		if pid, err := strconv.Atoi(strings.TrimSpace(line)); err == nil && isInit(pid) {
			return pid
		}
	}
	below, _ := os.ReadDir(group)
	for _, entry := range below {
		if entry.IsDir() {
			if init := initIn(filepath.Join(group, entry.Name())); init > 0 {
				return init
			}
		}
	}
	return 0
}

func isInit(pid int) bool {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(status)) {
		if numbers, is := strings.CutPrefix(line, "NSpid:"); is {
			fields := strings.Fields(numbers)
			return len(fields) == 2 && fields[1] == "1"
		}
	}
	return false
}
