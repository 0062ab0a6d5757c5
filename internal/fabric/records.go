package fabric

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/capstan-k8s/capstan/internal/fabric/fabricapi"
	"github.com/capstan-k8s/capstan/internal/fabric/store"
)

// Kinds of records on disk.
const (
	kindHost   = "host"
	kindVolume = "volume"
	kindFile   = "file"
	kindVM     = "vm"
	kindRole   = "role"
	kindImage  = "image"
)

type hostRecord struct {
	BootID string `json:"bootID"`
	// DownSince is set while the host has no power.
	DownSince *time.Time `json:"downSince,omitempty"`
}

type volumeRecord struct {
	Fault fabricapi.FaultState `json:"fault,omitempty"`
	// FilledBytes is data of somebody else.
	FilledBytes int64 `json:"filledBytes,omitempty"`
}

// sited is a record of something that belongs to a site.
type sited[T any] struct {
	Site  string `json:"site"`
	Value T      `json:"value"`
}

// tx is a change of the world: what is written, and what is done once it is.
type tx struct {
	store.Tx
	after []func()
}

func (t *tx) then(f func()) { t.after = append(t.after, f) }

func (t *tx) finish() {
	for _, f := range t.after {
		f()
	}
}

func fileKey(s *site, ref fabricapi.FileRef) string {
	return s.name + "/" + ref.Volume + "/" + ref.Path
}

func (t *tx) saveHost(h *host) { t.Put(kindHost, h.Name, h.hostRecord) }

func (t *tx) saveVolume(v *volume) { t.Put(kindVolume, v.site.name+"/"+v.name, v.volumeRecord) }

func (t *tx) saveFile(s *site, f *fabricapi.File) {
	t.Put(kindFile, fileKey(s, f.FileRef), sited[fabricapi.File]{s.name, *f})
}

func (t *tx) saveRole(s *site, r *fabricapi.Role) {
	t.Put(kindRole, s.name+"/"+r.Name, sited[fabricapi.Role]{s.name, *r})
}

// saveVM leaves out what a guest tells: it is told again after a restart.
func (t *tx) saveVM(s *site, v *vm) {
	bare := v.VM
	bare.Heartbeat, bare.Console = "", nil
	bare.NICs = make([]fabricapi.NIC, len(v.NICs))
	for i, nic := range v.NICs {
		nic.Addresses = nil
		bare.NICs[i] = nic
	}
	t.Put(kindVM, v.GUID, sited[fabricapi.VM]{s.name, bare})
}

// load brings the state on disk into a world that was just built.
func (w *World) load() error {
	for _, load := range []func() error{w.loadHosts, w.loadVolumes, w.loadFiles, w.loadVMs, w.loadRoles} {
		if err := load(); err != nil {
			return err
		}
	}
	images, err := store.Load[fabricapi.PublishedImage](w.store, kindImage)
	w.images = images
	return err
}

// resume boots what ran when the world was closed. What was shutting down then
// is off now.
func (w *World) resume(t *tx) error {
	for _, image := range w.Topology.Images {
		if _, ok := w.images[image.Source]; !ok {
			w.publish(t, image)
		}
	}
	for _, s := range w.sites {
		for _, h := range s.hosts {
			if h.BootID == "" {
				h.BootID = w.NewID()
				t.saveHost(h)
			}
			if h.DownSince != nil && s.cluster {
				w.later(w.FailoverDelay-w.Clock.Since(*h.DownSince), w.failOverLost(s))
			}
		}
		for _, v := range s.vms {
			switch {
			case v.State == fabricapi.Stopping:
				v.State = fabricapi.Off
				t.saveVM(s, v)
			case v.State == fabricapi.Running && v.node().DownSince == nil:
				w.boot(v, w.BootTime)
			}
		}
	}
	return nil
}

func (w *World) loadHosts() error {
	hosts, err := store.Load[hostRecord](w.store, kindHost)
	for name, record := range hosts {
		if h := w.hosts[name]; h != nil {
			h.hostRecord = record
		}
	}
	return err
}

func (w *World) loadVolumes() error {
	volumes, err := store.Load[volumeRecord](w.store, kindVolume)
	for _, s := range w.sites {
		for _, v := range s.volumes {
			v.volumeRecord = volumes[s.name+"/"+v.name]
		}
	}
	return err
}

func (w *World) loadFiles() error {
	files, err := store.Load[sited[fabricapi.File]](w.store, kindFile)
	if err != nil {
		return err
	}
	for key, f := range files {
		s := w.sites[f.Site]
		if s == nil || s.volumes[f.Value.Volume] == nil {
			return fmt.Errorf("the state has file %s, but the topology has no such volume", key)
		}
		s.volumes[f.Value.Volume].files[f.Value.Path] = &f.Value
	}
	return nil
}

func (w *World) loadVMs() error {
	vms, err := store.Load[sited[fabricapi.VM]](w.store, kindVM)
	if err != nil {
		return err
	}
	for guid, record := range vms {
		s, h := w.sites[record.Site], w.hosts[record.Value.Host]
		if s == nil || h == nil || h.site != s {
			return fmt.Errorf("the state has VM %s on host %s, but the topology has no such host there", guid, record.Value.Host)
		}
		s.vms[guid] = &vm{VM: record.Value, site: s}
	}
	return nil
}

func (w *World) loadRoles() error {
	roles, err := store.Load[sited[fabricapi.Role]](w.store, kindRole)
	if err != nil {
		return err
	}
	for key, r := range roles {
		s := w.sites[r.Site]
		if s == nil {
			return fmt.Errorf("the state has role %s, but the topology has no such site", key)
		}
		s.roles[r.Value.Name] = &r.Value
	}
	return nil
}

// isoPath is where the content of an ISO is kept.
func (w *World) isoPath(file *fabricapi.File) string {
	return filepath.Join(w.Dir, "content", file.ID+".iso")
}

// diskDir is where a guest keeps what it writes to a disk.
func (w *World) diskDir(file *fabricapi.File) string {
	return filepath.Join(w.Dir, "content", file.ID+".disk")
}

// drop removes what a file held, once the change that deletes it is on disk.
func (w *World) drop(t *tx, file *fabricapi.File) {
	t.then(func() {
		_ = os.Remove(w.isoPath(file))
		_ = os.RemoveAll(w.diskDir(file))
	})
}
