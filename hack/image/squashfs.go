package main

import (
	"context"
	_ "embed"
	"path/filepath"
)

//go:embed squashfs.go
var squashfsRecipe string

const squashfsFile = "node.squashfs"

// squashfs packs the tree into one file, which machine containers are started on.
func (b *builder) squashfs(ctx context.Context, tree string) (string, error) {
	dir, err := b.cache.step(ctx, "squashfs", key(squashfsRecipe, filepath.Base(tree)), func(ctx context.Context, dir string) error {
		_, err := command{args: []string{
			"mksquashfs", tree, filepath.Join(dir, squashfsFile), "-comp", "zstd", "-Xcompression-level", "3",
			"-noappend", "-no-progress", "-quiet", "-xattrs",
		}}.run(ctx)
		if err != nil {
			return err
		}
		return writeDigest(dir, squashfsFile)
	})
	if err != nil {
		return "", err
	}
	b.publish(dir, squashfsFile)
	return filepath.Join(dir, squashfsFile), nil
}
