package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

const keyLength = 12

// key is a hash over parts, each apart from the next.
func key(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))[:keyLength]
}

// digest is the SHA-256 of a file.
func digest(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", file, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// digestTree is a hash over the names, modes and content of the files and symbolic links
// below folders.
func digestTree(dirs ...string) (string, error) {
	var parts []string
	for _, dir := range dirs {
		err := filepath.WalkDir(dir, func(file string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			info, err := entry.Info()
			if err != nil {
				return err
			}
			var content string
			switch info.Mode().Type() {
			case 0:
				content, err = digest(file)
			case fs.ModeSymlink:
				content, err = os.Readlink(file)
			default:
				err = kindError(file)
			}
			parts = append(parts, file, info.Mode().String(), content)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("read %s: %w", dir, err)
		}
	}
	return key(parts...), nil
}
