package main

import (
	"archive/tar"
	"context"
	_ "embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed overlay.go
var overlayRecipe string

// overlay puts what lies in folders over the tree, by the tree's own tar and from within
// it: a folder that is a symbolic link there leads to where it leads in a guest.
func overlay(ctx context.Context, tree string, dirs ...string) error {
	// Under a name that the next run would clear away.
	archive := tree + ".overlay"
	defer func() { _ = os.Remove(archive) }()
	if err := archiveFiles(archive, dirs...); err != nil {
		return err
	}
	_, err := isolated(ctx, nil, `umask 022; exec chroot "$1" tar --extract --file - <"$2"`, tree, archive)
	return err
}

// archiveFiles writes an archive of the files and symbolic links below folders, as a
// guest has them: root's, for all to read, and to execute if anybody may. Folders come
// with what is in them.
func archiveFiles(archive string, dirs ...string) error {
	out, err := os.Create(archive)
	if err != nil {
		return err
	}
	defer func() { _ = out.Close() }()
	w := tar.NewWriter(out)
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			name, err := filepath.Rel(dir, file)
			if err != nil {
				return err
			}
			return archiveFile(w, filepath.ToSlash(name), file)
		})
		if err != nil {
			return fmt.Errorf("lay %s over the tree: %w", dir, err)
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	return out.Close()
}

func archiveFile(w *tar.Writer, name, file string) error {
	info, err := os.Lstat(file)
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case 0:
	case fs.ModeSymlink:
		target, err := os.Readlink(file)
		if err != nil {
			return err
		}
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: info.ModTime()})
	default:
		return kindError(file)
	}
	header := tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: info.Size(), ModTime: info.ModTime()}
	if info.Mode()&0o111 != 0 {
		header.Mode = 0o755
	}
	in, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if err := w.WriteHeader(&header); err != nil {
		return err
	}
	if _, err := io.Copy(w, in); err != nil {
		return fmt.Errorf("read %s: %w", file, err)
	}
	return nil
}

// kindError is of a socket, a device and the like, which no image is made of.
func kindError(file string) error {
	return fmt.Errorf("%s is neither a file nor a folder nor a symbolic link", file)
}
