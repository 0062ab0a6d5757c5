package main

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// shortName is the name without registry, path and tag.
func (i containerImage) shortName() string {
	name, _, _ := strings.Cut(i.Name[strings.LastIndex(i.Name, "/")+1:], ":")
	return name
}

// layer is one layer of a container image: an archive and its hash.
type layer struct {
	file   string
	digest string
}

// programsLayer writes a layer of programs, always the same bytes for the same programs.
func (i containerImage) programsLayer(file string, programs []program) (layer, error) {
	out, err := os.Create(file)
	if err != nil {
		return layer{}, err
	}
	defer func() { _ = out.Close() }()
	h := sha256.New()
	w := tar.NewWriter(io.MultiWriter(out, h))
	made := map[string]bool{"/": true}
	for _, name := range slices.Sorted(maps.Keys(i.Programs)) {
		p, err := find(programs, name)
		if err != nil {
			return layer{}, err
		}
		if err := addFolders(w, made, path.Dir(i.Programs[name])); err != nil {
			return layer{}, err
		}
		if err := addFile(w, i.Programs[name], p.file); err != nil {
			return layer{}, fmt.Errorf("add %s: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.Links)) {
		if err := addFolders(w, made, path.Dir(name)); err != nil {
			return layer{}, err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name[1:], Linkname: i.Links[name], Mode: 0o777}); err != nil {
			return layer{}, err
		}
	}
	if err := w.Close(); err != nil {
		return layer{}, err
	}
	return layer{file: file, digest: hex.EncodeToString(h.Sum(nil))}, out.Close()
}

func addFolders(w *tar.Writer, made map[string]bool, dir string) error {
	if made[dir] {
		return nil
	}
	if err := addFolders(w, made, path.Dir(dir)); err != nil {
		return err
	}
	made[dir] = true
	return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755})
}

// addFile adds a file that all may read and execute, at an absolute path.
func addFile(w *tar.Writer, at, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := w.WriteHeader(&tar.Header{Name: at[1:], Mode: 0o755, Size: info.Size()}); err != nil {
		return err
	}
	_, err = io.Copy(w, f)
	return err
}

// archive writes an image of layers in the form of docker save, which containerd imports.
func (i containerImage) archive(file string, layers []layer) error {
	config, err := json.Marshal(i.config(layers))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(config)
	configName := hex.EncodeToString(sum[:]) + ".json"
	var names []string
	for _, l := range layers {
		names = append(names, l.digest+"/layer.tar")
	}
	manifest, err := json.Marshal([]map[string]any{{"Config": configName, "RepoTags": []string{i.Name}, "Layers": names}})
	if err != nil {
		return err
	}
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	w := tar.NewWriter(out)
	for n, l := range layers {
		if err := addFile(w, "/"+names[n], l.file); err != nil {
			return fmt.Errorf("add layer: %w", err)
		}
	}
	if err := errors.Join(addText(w, configName, config), addText(w, "manifest.json", manifest), w.Close()); err != nil {
		return err
	}
	return out.Close()
}

func addText(w *tar.Writer, name string, content []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
		return err
	}
	_, err := w.Write(content)
	return err
}

// config is the image's configuration in the form of the OCI.
func (i containerImage) config(layers []layer) map[string]any {
	var diffIDs []string
	for _, l := range layers {
		diffIDs = append(diffIDs, "sha256:"+l.digest)
	}
	settings := map[string]any{"Env": []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	if len(i.Entrypoint) > 0 {
		settings["Entrypoint"] = i.Entrypoint
	}
	if i.User != "" {
		settings["User"] = i.User
	}
	return map[string]any{
		"architecture": "amd64",
		"os":           "linux",
		"config":       settings,
		"rootfs":       map[string]any{"type": "layers", "diff_ids": diffIDs},
	}
}
