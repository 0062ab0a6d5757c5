package iso9660

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/diskfs/go-diskfs/backend/file"
	"github.com/diskfs/go-diskfs/filesystem/iso9660"
)

// sector is the size of everything's unit.
const sector = 2048

// maxLabel is the number of characters that a Joliet volume descriptor has room
// for.
const maxLabel = 16

// maxName keeps a directory record with its Rock Ridge fields within the 255
// bytes that a record may have.
const maxName = 64

// File is a file in the root directory.
type File struct {
	// Name is 1 to 64 letters, digits, dashes, underscores, and dots within.
	Name    string
	Content []byte
}

// Image returns an image of the files. Equal input gives equal bytes.
func Image(label string, files []File) (_ []byte, err error) {
	if err := validate(label, files); err != nil {
		return nil, err
	}
	// MkdirTemp lets nobody but the owner in.
	dir, err := os.MkdirTemp("", "capstan-seed-")
	if err != nil {
		return nil, fmt.Errorf("make a folder to build the image in: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	tree := filepath.Join(dir, "tree")
	if err := stage(tree, files); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "image.iso")
	if err := write(path, tree, label); err != nil {
		return nil, err
	}
	image, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the image back: %w", err)
	}
	if err := normalize(image); err != nil {
		return nil, err
	}
	// The library ends with the last directory; a disc ends with a sector.
	return append(image, make([]byte, (sector-len(image)%sector)%sector)...), nil
}

func validate(label string, files []File) error {
	if label == "" || len(label) > maxLabel || !portable(label) {
		return fmt.Errorf("volume label %q is not 1 to %d letters, digits, dots, dashes and underscores", label, maxLabel)
	}
	seen := map[string]bool{}
	for _, f := range files {
		if f.Name == "" || strings.HasPrefix(f.Name, ".") || strings.HasSuffix(f.Name, ".") || len(f.Name) > maxName || !portable(f.Name) {
			return fmt.Errorf("file name %q is not 1 to %d letters, digits, dashes, underscores, and dots within", f.Name, maxName)
		}
		// Windows does not tell case apart.
		folded := strings.ToLower(f.Name)
		if seen[folded] {
			return fmt.Errorf("file name %q is not unique", f.Name)
		}
		seen[folded] = true
	}
	return nil
}

func portable(s string) bool {
	return !slices.ContainsFunc([]rune(s), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

func stage(tree string, files []File) error {
	if err := os.Mkdir(tree, 0o700); err != nil {
		return fmt.Errorf("make a folder to build the image in: %w", err)
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(tree, f.Name), f.Content, 0o400); err != nil {
			return fmt.Errorf("stage %s: %w", f.Name, err)
		}
	}
	return nil
}

func write(path, tree, label string) (err error) {
	out, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	fs, err := iso9660.Create(file.New(out, false), 0, 0, sector, tree)
	if err != nil {
		return fmt.Errorf("make the image: %w", err)
	}
	if err := fs.Finalize(iso9660.FinalizeOptions{RockRidge: true, Joliet: true, VolumeIdentifier: label}); err != nil {
		return fmt.Errorf("write the image: %w", err)
	}
	return nil
}
