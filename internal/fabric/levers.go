package fabric

import (
	"context"
	"maps"
	"slices"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// Admin is what an auditor sees and a person with a screwdriver can do.
type Admin struct{ w *World }

// Admin returns the view of everything.
func (w *World) Admin() *Admin { return &Admin{w} }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// change pulls a lever.
func (a *Admin) change(f func(*tx) error) (fabricapi.None, error) {
	return fabricapi.None{}, a.w.update(f)
}

func (a *Admin) host(name string) (*host, error) {
	if h := a.w.hosts[name]; h != nil {
		return h, nil
	}
	return nil, fabricapi.Refuse(fabricapi.NotFound, name, "there is no host %s", name)
}

func (a *Admin) vm(guid string) (*vm, error) {
	for _, s := range a.w.sites {
		if v := s.vms[guid]; v != nil {
			return v, nil
		}
	}
	return nil, fabricapi.Refuse(fabricapi.NotFound, guid, "there is no VM %s", guid)
}

func (a *Admin) volume(site, name string) (*volume, error) {
	if s := a.w.sites[site]; s != nil && s.volumes[name] != nil {
		return s.volumes[name], nil
	}
	return nil, fabricapi.Refuse(fabricapi.NotFound, name, "there is no volume %s at %s", name, site)
}

// Publish puts an image at its source.
func (a *Admin) Publish(_ context.Context, image fabricapi.PublishedImage) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		if image.Source == "" || image.FileBytes < 1 || image.VirtualBytes < 1 {
			return fabricapi.Refuse(fabricapi.InvalidParameter, image.Source, "an image needs a source and sizes")
		}
		a.w.publish(t, image)
		return nil
	})
}

// Withdraw takes an image away from its source. Copies of it stay.
func (a *Admin) Withdraw(_ context.Context, req fabricapi.ImageSource) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		if _, ok := a.w.images[req.Source]; !ok {
			return fabricapi.Refuse(fabricapi.NotFound, req.Source, "nothing is published at %s", req.Source)
		}
		delete(a.w.images, req.Source)
		t.Delete(kindImage, req.Source)
		return nil
	})
}

// HostDown takes a host's power away.
func (a *Admin) HostDown(_ context.Context, req fabricapi.HostRef) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		h, err := a.host(req.Host)
		if err == nil {
			a.w.hostDown(t, h)
		}
		return err
	})
}

// HostUp boots a host.
func (a *Admin) HostUp(_ context.Context, req fabricapi.HostRef) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		h, err := a.host(req.Host)
		if err == nil {
			a.w.hostUp(t, h)
		}
		return err
	})
}

// RebootHost power-cycles a host.
func (a *Admin) RebootHost(_ context.Context, req fabricapi.HostRef) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		h, err := a.host(req.Host)
		if err == nil {
			a.w.hostDown(t, h)
			a.w.hostUp(t, h)
		}
		return err
	})
}

func (w *World) hostDown(t *tx, h *host) {
	if h.DownSince != nil {
		return
	}
	now := w.Clock.Now()
	h.DownSince = &now
	t.saveHost(h)
	for _, v := range h.site.vms {
		if v.Host != h.Name || v.State == fabricapi.Off {
			continue
		}
		w.haltGuest(t, v)
		switch {
		case !h.site.cluster, v.State == fabricapi.Stopping:
			v.State = fabricapi.Off
		default:
			v.State = fabricapi.Running
		}
		t.saveVM(h.site, v)
	}
	if h.site.cluster {
		w.later(w.FailoverDelay, w.failOverLost(h.site))
	}
}

// hostUp boots a host. A failover cluster restarts what the host still owns; a
// stand-alone host starts nothing.
func (w *World) hostUp(t *tx, h *host) {
	if h.DownSince == nil {
		return
	}
	h.DownSince, h.BootID = nil, w.NewID()
	t.saveHost(h)
	for _, v := range h.site.vms {
		if v.Host == h.Name && v.State != fabricapi.Off {
			w.restart(v)
			t.saveVM(h.site, v)
		}
	}
	if h.site.cluster {
		w.placeLost(t, h.site)
	}
}

// FreezeHost stops a host from answering, or lets it answer again.
func (a *Admin) FreezeHost(_ context.Context, req fabricapi.SetHostRequest) (fabricapi.None, error) {
	return a.change(func(*tx) error {
		h, err := a.host(req.Host)
		switch {
		case err != nil:
			return err
		case req.On && h.frozen == nil:
			h.frozen = make(chan struct{})
		case !req.On && h.frozen != nil:
			close(h.frozen)
			h.frozen = nil
		}
		return nil
	})
}

// IsolateHost cuts a host off its failover cluster.
func (a *Admin) IsolateHost(_ context.Context, req fabricapi.SetHostRequest) (fabricapi.None, error) {
	return a.change(func(*tx) error {
		h, err := a.host(req.Host)
		if err == nil {
			h.isolated = req.On
		}
		return err
	})
}

// SetVolumeFault faults a volume or clears its fault. VMs that lose their
// storage are paused until it is back.
func (a *Admin) SetVolumeFault(_ context.Context, req fabricapi.SetVolumeFaultRequest) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		volume, err := a.volume(req.Site, req.Volume)
		if err != nil {
			return err
		}
		volume.Fault = req.Fault
		t.saveVolume(volume)
		for _, v := range volume.site.vms {
			if v.node().DownSince != nil {
				continue
			}
			switch lost := v.storageLost(); {
			case lost && (v.State == fabricapi.Running || v.State == fabricapi.Stopping):
				a.w.haltGuest(t, v)
				v.State = fabricapi.Critical
				t.saveVM(volume.site, v)
			case !lost && v.State == fabricapi.Critical:
				v.State = fabricapi.Running
				a.w.boot(v, 0)
				t.saveVM(volume.site, v)
			}
		}
		return nil
	})
}

// FillVolume fills a volume with data of somebody else.
func (a *Admin) FillVolume(_ context.Context, req fabricapi.FillVolumeRequest) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		volume, err := a.volume(req.Site, req.Volume)
		if err != nil {
			return err
		}
		volume.FilledBytes = 0
		if req.FreeBytes >= 0 {
			volume.FilledBytes = max(volume.freeBytes()-req.FreeBytes, 0)
		}
		t.saveVolume(volume)
		return nil
	})
}
