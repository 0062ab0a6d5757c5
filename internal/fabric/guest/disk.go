package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// disk is what a guest remembers across power cycles: a folder of JSON files.
type disk string

// read reads a file into v and tells whether it is there.
func (d disk) read(name string, v any) (bool, error) {
	b, err := os.ReadFile(filepath.Join(string(d), name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s from the disk: %w", name, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return false, fmt.Errorf("the file %s on the disk is damaged: %w", name, err)
	}
	return true, nil
}

// write replaces a file at once: it is there entirely or as before. Files hold
// private keys.
func (d disk) write(name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	return d.writeRaw(name, b)
}

func (d disk) writeRaw(name string, b []byte) error {
	tmp, err := os.CreateTemp(string(d), ".new-*")
	if err != nil {
		return fmt.Errorf("write %s to the disk: %w", name, err)
	}
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(string(d), name))
	}
	if err != nil {
		return fmt.Errorf("write %s to the disk: %w", name, errors.Join(err, os.Remove(tmp.Name())))
	}
	return nil
}
