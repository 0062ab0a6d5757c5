package fabric

import (
	"context"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
)

// RemoveVM removes a VM by hand, running or not. Its files and role stay.
func (a *Admin) RemoveVM(_ context.Context, req fabricapi.VMRef) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		v, err := a.vm(req.GUID)
		if err != nil {
			return err
		}
		a.w.haltGuest(t, v)
		v.State = fabricapi.Off
		delete(v.site.vms, v.GUID)
		t.Delete(kindVM, v.GUID)
		return nil
	})
}

// PowerOffVM switches a VM off by hand.
func (a *Admin) PowerOffVM(_ context.Context, req fabricapi.VMRef) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		v, err := a.vm(req.GUID)
		if err == nil {
			a.w.turnOff(t, v)
		}
		return err
	})
}

// MoveVM moves a VM to another node of its failover cluster. Its guest does not
// notice.
func (a *Admin) MoveVM(_ context.Context, req fabricapi.MoveVMRequest) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		v, err := a.vm(req.GUID)
		if err != nil {
			return err
		}
		to, err := a.host(req.Host)
		switch {
		case err != nil:
			return err
		case !v.site.cluster || to.site != v.site:
			return fabricapi.Refuse(fabricapi.InvalidParameter, req.Host, "host %s is in no failover cluster with VM %s", req.Host, v.GUID)
		case to.Name == v.Host:
			return nil
		case to.DownSince != nil || v.node().DownSince != nil:
			return fabricapi.Refuse(fabricapi.NodeUnavailable, req.Host, "VM %s cannot move while a host is down", v.GUID)
		}
		if v.holdsMemory() {
			if err := checkMemory(to, v.MemoryMiB); err != nil {
				return err
			}
		}
		if unplugged := to.unplugged; v.guest != nil && unplugged != v.node().unplugged {
			guest := v.guest
			// Who has no cable has none to take along.
			t.then(func() { _ = guest.Link(!unplugged) })
		}
		v.Host = to.Name
		t.saveVM(v.site, v)
		if role := v.site.roles[v.Role]; role != nil {
			role.Node = to.Name
			t.saveRole(v.site, role)
		}
		return nil
	})
}

// SetGuest makes a guest deaf, or hear again.
func (a *Admin) SetGuest(_ context.Context, req fabricapi.SetGuestRequest) (fabricapi.None, error) {
	return a.change(func(*tx) error {
		v, err := a.vm(req.GUID)
		if err == nil {
			v.deaf = req.Deaf
		}
		return err
	})
}

// AddFile puts a file there by hand.
func (a *Admin) AddFile(_ context.Context, req fabricapi.AddFileRequest) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		volume, err := a.volume(req.Site, req.File.Volume)
		if err != nil {
			return err
		}
		file := req.File
		if !validPath(file.Path) || volume.files[file.Path] != nil {
			return fabricapi.Refuse(fabricapi.Exists, file.Path, "there is a file %s already, or that is no path", file.Path)
		}
		file.ID, file.FullPath = a.w.NewID(), volume.fullPath(file.Path)
		volume.add(t, file)
		return nil
	})
}

// RemoveFile removes a file by hand. Only what a running VM has open stays: the
// file system knows of no other use.
func (a *Admin) RemoveFile(_ context.Context, req fabricapi.RemoveFileRequest) (fabricapi.None, error) {
	return a.change(func(t *tx) error {
		volume, err := a.volume(req.Site, req.Volume)
		if err != nil {
			return err
		}
		file := volume.files[req.Path]
		if file == nil {
			return fabricapi.Refuse(fabricapi.NotFound, req.Path, "there is no file %s", volume.fullPath(req.Path))
		}
		if v := volume.site.holder(req.FileRef); v != nil && v.State != fabricapi.Off {
			return fabricapi.Refuse(fabricapi.InUse, req.Path, "VM %s runs from %s", v.GUID, file.FullPath)
		}
		volume.remove(t, file)
		a.w.drop(t, file)
		return nil
	})
}

// AddVM makes a VM by hand.
func (a *Admin) AddVM(ctx context.Context, req fabricapi.AddVMRequest) (fabricapi.VM, error) {
	h := a.w.Host(req.Host)
	if h == nil {
		return fabricapi.VM{}, fabricapi.Refuse(fabricapi.NotFound, req.Host, "there is no host %s", req.Host)
	}
	return h.DefineVM(ctx, req.DefineVMRequest)
}
