package wmifake

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/capstan-k8s/capstan/internal/driver/hyperv/hostfs"
)

// disk is what lies on all volumes.
type disk struct {
	world   *World
	volumes []*volume
	files   map[string]*file
}

type volume struct {
	root   string
	bytes  int64
	filled int64
	faulty bool
}

// file is a file or folder. A virtual disk has no content.
type file struct {
	path     string
	folder   bool
	readOnly bool
	content  []byte
	vhd      *vhd
	// id is that of a virtual disk, which another at the same path has not.
	id string
}

func (f *file) bytes() int64 {
	if f.vhd != nil {
		return f.vhd.fileBytes
	}
	return int64(len(f.content))
}

// key is a path as Windows compares paths.
func key(path string) string { return strings.ToLower(strings.TrimSuffix(path, `\`)) }

func below(path, folder string) bool { return strings.HasPrefix(key(path), key(folder)+`\`) }

// volume returns the volume of a path, nil for the system's own.
func (d *disk) volume(path string) *volume {
	for _, v := range d.volumes {
		if key(path) == key(v.root) || below(path, v.root) {
			return v
		}
	}
	return nil
}

func (v *volume) free(d *disk) int64 {
	free := v.bytes - v.filled
	for _, f := range d.files {
		if below(f.path, v.root) {
			free -= f.bytes()
		}
	}
	return max(free, 0)
}

// at returns what is at a path.
func (d *disk) at(path string) (*file, error) {
	if v := d.volume(path); v != nil && v.faulty {
		return nil, fmt.Errorf("%s: %w", path, hostfs.ErrUnavailable)
	}
	f, ok := d.files[key(path)]
	if !ok {
		return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
	}
	return f, nil
}

// put makes a file. Its folder has to be there.
func (d *disk) put(f *file) error {
	v := d.volume(f.path)
	if v != nil && v.faulty {
		return fmt.Errorf("%s: %w", f.path, hostfs.ErrUnavailable)
	}
	parent := f.path[:max(strings.LastIndex(f.path, `\`), 0)]
	if above := d.files[key(parent)]; !d.root(parent) && (above == nil || !above.folder) {
		return fmt.Errorf("%s: %w", parent, fs.ErrNotExist)
	}
	have := d.files[key(f.path)]
	if v != nil && !f.folder {
		delete(d.files, key(f.path))
		if v.free(d) < f.bytes()+1 {
			if have != nil {
				d.files[key(f.path)] = have
			}
			return fmt.Errorf("%s: %w", f.path, hostfs.ErrFull)
		}
	}
	d.files[key(f.path)] = f
	return nil
}

// remove takes a file away, and what a guest wrote to it.
func (d *disk) remove(path string) {
	f, guests := d.files[key(path)], d.world.options.Guests
	delete(d.files, key(path))
	if f != nil && f.id != "" && guests != nil {
		d.world.then(func() { guests.Erased(f.id) })
	}
}

func (d *disk) root(path string) bool {
	return len(path) <= 3 || slices.ContainsFunc(d.volumes, func(v *volume) bool { return key(v.root) == key(path) })
}

// files are a client's.
type files struct{ client *Client }

var _ hostfs.Files = files{}

// Files are the files of the client's host.
func (c *Client) Files() hostfs.Files { return files{c} }

// enter begins a call. The system's own drive is each host's own, so its paths are apart.
func (f files) enter(path string) (string, func(), error) {
	f.client.world.mu.Lock()
	if err := f.client.step(); err != nil {
		f.client.world.unlock()
		return "", nil, err
	}
	if f.client.tripped(false) {
		f.client.world.unlock()
		return "", nil, fmt.Errorf("%s: %w", path, hostfs.ErrUnavailable)
	}
	if !strings.Contains(path, `:\`) || strings.Contains(path, `\..`) || strings.Contains(path, "/") {
		f.client.world.reporter.Helper()
		f.client.world.reporter.Errorf("%q is no path of Windows", path)
	}
	return f.client.own(path), f.client.world.unlock, nil
}

func (c *Client) own(path string) string {
	if c.world.disk.volume(path) == nil {
		return strings.Replace(path, `C:\`, `C:\`+c.host.name+` `, 1)
	}
	return path
}

func entry(f *file) hostfs.Entry {
	return hostfs.Entry{Name: f.path[strings.LastIndex(f.path, `\`)+1:], Folder: f.folder, Bytes: f.bytes(), ReadOnly: f.readOnly}
}

// Stat implements hostfs.Files.
func (f files) Stat(path string) (hostfs.Entry, error) {
	path, leave, err := f.enter(path)
	if err != nil {
		return hostfs.Entry{}, err
	}
	defer leave()
	d := f.client.world.disk
	if d.root(path) {
		if v := d.volume(path); v != nil && v.faulty {
			return hostfs.Entry{}, fmt.Errorf("%s: %w", path, hostfs.ErrUnavailable)
		}
		return hostfs.Entry{Name: path, Folder: true}, nil
	}
	found, err := d.at(path)
	if err != nil {
		return hostfs.Entry{}, err
	}
	return entry(found), nil
}

// List implements hostfs.Files.
func (f files) List(folder string) ([]hostfs.Entry, error) {
	folder, leave, err := f.enter(folder)
	if err != nil {
		return nil, err
	}
	defer leave()
	d := f.client.world.disk
	if found, err := d.at(folder); err != nil {
		return nil, err
	} else if !found.folder {
		return nil, fmt.Errorf("%s is no folder", folder)
	}
	var out []hostfs.Entry
	for _, inside := range d.inside(folder) {
		out = append(out, entry(inside))
	}
	return out, nil
}

// inside is what is in a folder, by name.
func (d *disk) inside(folder string) []*file {
	var out []*file
	for _, f := range d.files {
		if rest, ok := strings.CutPrefix(key(f.path), key(folder)+`\`); ok && !strings.Contains(rest, `\`) {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b *file) int { return strings.Compare(a.path, b.path) })
	return out
}

// Read implements hostfs.Files.
func (f files) Read(path string) ([]byte, error) {
	path, leave, err := f.enter(path)
	if err != nil {
		return nil, err
	}
	defer leave()
	found, err := f.client.world.disk.at(path)
	if err != nil {
		return nil, err
	}
	return slices.Clone(found.content), nil
}

// Write implements hostfs.Files.
func (f files) Write(path string, content []byte) error {
	path, leave, err := f.enter(path)
	if err != nil {
		return err
	}
	defer leave()
	return f.client.world.disk.put(&file{path: path, content: slices.Clone(content)})
}

// Open implements hostfs.Files.
func (f files) Open(path string) (io.ReadCloser, error) {
	content, err := f.Read(path)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(content)), nil
}

// Append implements hostfs.Files.
func (f files) Append(path string, offset int64, piece []byte) error {
	path, leave, err := f.enter(path)
	if err != nil {
		return err
	}
	defer leave()
	d := f.client.world.disk
	have, err := d.at(path)
	if errors.Is(err, fs.ErrNotExist) && offset == 0 {
		have, err = &file{path: path}, nil
	}
	if err != nil {
		return err
	}
	if have.bytes() != offset {
		return fmt.Errorf("%s has %d bytes, not %d", path, have.bytes(), offset)
	}
	return d.put(&file{path: path, content: append(slices.Clone(have.content), piece...)})
}

// MakeFolder implements hostfs.Files.
func (f files) MakeFolder(path string) error {
	path, leave, err := f.enter(path)
	if err != nil {
		return err
	}
	defer leave()
	return f.client.world.disk.makeFolder(path)
}

func (d *disk) makeFolder(path string) error {
	if d.root(path) {
		return nil
	}
	if have := d.files[key(path)]; have != nil {
		if !have.folder {
			return fmt.Errorf("%s: %w", path, fs.ErrExist)
		}
		return nil
	}
	if err := d.makeFolder(path[:strings.LastIndex(path, `\`)]); err != nil {
		return err
	}
	return d.put(&file{path: path, folder: true})
}

// Rename implements hostfs.Files.
func (f files) Rename(from, to string) error {
	from, leave, err := f.enter(from)
	if err != nil {
		return err
	}
	defer leave()
	to = f.client.own(to)
	d := f.client.world.disk
	moved, err := d.at(from)
	if err != nil {
		return err
	}
	if d.files[key(to)] != nil {
		return fmt.Errorf("%s: %w", to, fs.ErrExist)
	}
	for _, other := range d.files {
		if other != moved && below(other.path, from) {
			delete(d.files, key(other.path))
			other.path = to + other.path[len(from):]
			d.files[key(other.path)] = other
		}
	}
	delete(d.files, key(from))
	moved.path = to
	d.files[key(to)] = moved
	return nil
}

// Protect implements hostfs.Files.
func (f files) Protect(path string) error {
	path, leave, err := f.enter(path)
	if err != nil {
		return err
	}
	defer leave()
	found, err := f.client.world.disk.at(path)
	if err == nil {
		found.readOnly = true
	}
	return err
}

// Remove implements hostfs.Files.
func (f files) Remove(path string) error {
	path, leave, err := f.enter(path)
	if err != nil {
		return err
	}
	defer leave()
	w := f.client.world
	found, err := w.disk.at(path)
	if err != nil {
		return err
	}
	if found.folder && len(w.disk.inside(path)) > 0 {
		return fmt.Errorf("folder %s is not empty", path)
	}
	if w.attached(path) != nil {
		return fmt.Errorf("%s: %w", path, hostfs.ErrBusy)
	}
	w.disk.remove(path)
	return nil
}
