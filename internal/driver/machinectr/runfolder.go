package machinectr

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// runMark tells a guest's folder from whatever else somebody keeps where the
// driver was told to put such folders. It is a link, which is there with what it
// says or not at all.
const runMark = "machinectr-guest"

// runs is what the folders of running guests lie in.
func (d *Driver) runs() string { return filepath.Join(d.RunDir, "guests") }

// runPath is the folder of a VM's running guest.
func (d *Driver) runPath(id hostapi.VMID) string { return filepath.Join(d.runs(), string(id)) }

func (d *Driver) mark(id hostapi.VMID) string { return d.Host + "/" + string(id) }

// marked tells whether a guest's folder is one, and this host's.
func (d *Driver) marked(id hostapi.VMID) bool {
	text, err := os.Readlink(filepath.Join(d.runPath(id), runMark))
	return err == nil && text == d.mark(id)
}

// runFolders are the IDs of which there is a guest's folder.
func (d *Driver) runFolders() ([]hostapi.VMID, error) {
	folders, err := names(d.runs())
	var ids []hostapi.VMID
	for _, folder := range folders {
		if id := hostapi.VMID(folder); d.marked(id) {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// makeRunFolder makes what a guest finds at its start, in place of what an
// earlier one left.
func (d *Driver) makeRunFolder(p *parts) error {
	if err := d.removeRunFolder(p.id); err != nil {
		return err
	}
	run := d.runPath(p.id)
	if err := os.MkdirAll(d.runs(), 0o700); err != nil {
		return err
	}
	// An empty one is what is left of making one, and nobody misses it.
	if err := os.Remove(run); err != nil && !errors.Is(err, os.ErrNotExist) {
		return hostapi.Errorf(hostapi.NotOwned, "", "", "%s is no guest's folder: %w", run, err)
	}
	if err := os.Mkdir(run, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(d.mark(p.id), filepath.Join(run, runMark)); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(run, "launch.sh"), launcher, 0o600); err != nil {
		return err
	}
	return d.insertSeed(p)
}

// removeRunFolder removes a guest's folder. What tells that it is one goes last.
func (d *Driver) removeRunFolder(id hostapi.VMID) error {
	if !d.marked(id) {
		return nil
	}
	run := d.runPath(id)
	entries, err := names(run)
	for _, entry := range entries {
		if entry != runMark {
			err = errors.Join(err, os.RemoveAll(filepath.Join(run, entry)))
		}
	}
	if err != nil {
		return err
	}
	return errors.Join(removeFile(filepath.Join(run, runMark)), removeEmpty(run))
}
