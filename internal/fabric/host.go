package fabric

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// Version is what hosts say that they run.
const Version = "10.0.26100 (simulated)"

// Host is what a program on a host can do: with the host and, if that is a
// member of a failover cluster, with the cluster.
type Host struct {
	*host
	w *World
}

// Host returns a host by its name, or nil.
func (w *World) Host(name string) *Host {
	if h := w.hosts[name]; h != nil {
		return &Host{host: h, w: w}
	}
	return nil
}

// available tells why nothing can be done from this host now.
func (h *Host) available() error {
	if h.DownSince != nil {
		return fmt.Errorf("host %s is down: %w", h.Name, fabricapi.ErrUnreachable)
	}
	if h.isolated && h.site.cluster {
		return fabricapi.Refuse(fabricapi.ClusterUnavailable, h.site.name,
			"host %s cannot reach failover cluster %s", h.Name, h.site.name)
	}
	return nil
}

func (h *Host) update(f func(*tx) error) error {
	return h.w.update(func(t *tx) error {
		if err := h.available(); err != nil {
			return err
		}
		return f(t)
	})
}

func (h *Host) read(f func() error) error {
	return h.w.locked(func() error {
		if err := h.available(); err != nil {
			return err
		}
		return f()
	})
}

// volume returns a volume that can be used.
func (h *Host) volume(name string) (*volume, error) {
	v := h.site.volumes[name]
	if v == nil {
		return nil, fabricapi.Refuse(fabricapi.VolumeUnavailable, name, "host %s has no volume %s", h.Name, name)
	}
	if !v.Fault.Usable() {
		return nil, fabricapi.Refuse(fabricapi.VolumeUnavailable, name, "volume %s cannot be used: %s", name, v.Fault)
	}
	return v, nil
}

// reach returns a VM whose owner node answers.
func (h *Host) reach(guid string) (*vm, error) {
	v := h.site.vms[guid]
	if v == nil {
		return nil, fabricapi.Refuse(fabricapi.NotFound, guid, "there is no VM %s", guid)
	}
	if node := v.node(); node.DownSince != nil || node.isolated {
		return nil, fabricapi.Refuse(fabricapi.NodeUnavailable, v.Host,
			"host %s, which owns VM %s, does not answer failover cluster %s", v.Host, guid, h.site.name)
	}
	return v, nil
}

// changeVM changes a VM that can be reached.
func (h *Host) changeVM(guid string, f func(*tx, *vm) error) (out fabricapi.VM, err error) {
	err = h.update(func(t *tx) error {
		v, err := h.reach(guid)
		if err != nil {
			return err
		}
		if err := f(t, v); err != nil {
			return err
		}
		t.saveVM(h.site, v)
		out = v.view()
		return nil
	})
	return out, err
}

// memoryFree is what VMs that start can still get.
func (h *host) memoryFree() int64 {
	free := h.MemoryMiB - h.ReserveMiB
	for _, v := range h.site.vms {
		if v.Host == h.Name && v.holdsMemory() {
			free -= v.MemoryMiB
		}
	}
	return free
}

func checkMemory(h *host, more int64) error {
	if free := h.memoryFree(); more > free {
		return fabricapi.Refuse(fabricapi.OutOfMemory, h.Name,
			"host %s has %d MiB of memory free, %d MiB more are asked for", h.Name, free, more)
	}
	return nil
}

// Host describes the host.
func (h *Host) Host(context.Context, fabricapi.None) (out fabricapi.Host, err error) {
	err = h.read(func() error {
		out = h.describe()
		return nil
	})
	return out, err
}

func (h *host) describe() fabricapi.Host {
	out := fabricapi.Host{
		Name: h.Name, Version: Version, BootID: h.BootID, Processors: h.Processors, MemoryMiB: h.MemoryMiB,
		MemoryFreeMiB: h.memoryFree(), Switches: slices.Clone(h.Switches),
	}
	if h.site.cluster {
		out.FailoverCluster = h.site.name
	}
	for _, v := range h.site.volumes {
		out.Volumes = append(out.Volumes, v.describe(false))
	}
	slices.SortFunc(out.Volumes, func(a, b fabricapi.Volume) int { return strings.Compare(a.Name, b.Name) })
	return out
}
