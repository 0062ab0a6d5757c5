package machinectr

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// shutDownSignal is what asks an init in a container to power off: SIGRTMIN+3.
const shutDownSignal = syscall.Signal(34 + 3)

// guest is what can be seen of a guest from the outside.
type guest struct {
	// on tells whether there is power: launch.sh, nspawn or the guest runs.
	on bool
	// init is the first process of the guest, 0 as long as there is none.
	init int
	// listens tells whether init has asked for the signal to shut down, and stopped
	// that it does not run.
	listens, stopped bool
}

func (d *Driver) look(id hostapi.VMID) (guest, error) {
	pids, err := d.groups.processes(id)
	if err != nil {
		return guest{}, err
	}
	g := guest{on: len(pids) > 0}
	for _, pid := range pids {
		status := statusOf(pid)
		// It is the first in a PID namespace directly below this one: that of a pod
		// has one more above it.
		if ids := strings.Fields(status["NSpid"]); len(ids) != 2 || ids[1] != "1" {
			continue
		}
		bit := uint64(1) << (shutDownSignal - 1)
		g.init = pid
		g.listens = (signals(status["SigCgt"])|signals(status["SigBlk"]))&bit != 0
		g.stopped = strings.HasPrefix(status["State"], "T") || strings.HasPrefix(status["State"], "t")
		break
	}
	return g, nil
}

// statusOf returns what the kernel says of a process, nothing of one that ended.
func statusOf(pid int) map[string]string {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return nil
	}
	out := map[string]string{}
	for line := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(line, ":")
		out[key] = strings.TrimSpace(value)
	}
	return out
}

func signals(mask string) uint64 {
	bits, err := strconv.ParseUint(mask, 16, 64)
	if err != nil {
		return 0
	}
	return bits
}

// heartbeat is OK once the guest's init is so far that it could be asked to shut
// down, as integration services are.
func (g guest) heartbeat() hostapi.Heartbeat {
	switch {
	case g.init == 0:
		return hostapi.HeartbeatUnknown
	case g.stopped:
		return hostapi.HeartbeatLost
	case g.listens:
		return hostapi.HeartbeatOK
	}
	return hostapi.HeartbeatUnknown
}

// addresses are what the guest's interfaces have, by MAC address. A guest that
// ends meanwhile has none.
func (g guest) addresses(ctx context.Context) map[string][]string {
	if g.init == 0 {
		return nil
	}
	text, err := run(ctx, "nsenter", fmt.Sprintf("--net=/proc/%d/ns/net", g.init), "ip", "-json", "address", "show")
	if err != nil {
		return nil
	}
	var links []struct {
		Address  string `json:"address"`
		AddrInfo []struct {
			Local string `json:"local"`
		} `json:"addr_info"`
	}
	if json.Unmarshal([]byte(text), &links) != nil {
		return nil
	}
	out := map[string][]string{}
	for _, link := range links {
		for _, info := range link.AddrInfo {
			if a, err := netip.ParseAddr(info.Local); err == nil && a.IsGlobalUnicast() {
				out[link.Address] = append(out[link.Address], a.String())
			}
		}
	}
	return out
}
