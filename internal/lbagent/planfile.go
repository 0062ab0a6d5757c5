package lbagent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/capstan-k8s/capstan/internal/lbapi"
)

// planFile keeps the last good plan. It is replaced whole or not at all, and is
// on the disk when a write returns.
type planFile struct{ dir string }

func (f planFile) path() string { return filepath.Join(f.dir, "plan.json") }

// read returns the plan, or nil where there is none.
func (f planFile) read() (*lbapi.Plan, error) {
	data, err := os.ReadFile(f.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read last good plan: %w", err)
	}
	var plan lbapi.Plan
	if err := json.Unmarshal(data, &plan); err != nil {
		return nil, fmt.Errorf("read last good plan %s: %w", f.path(), err)
	}
	if faults := lbapi.Validate(plan); len(faults) > 0 {
		return nil, fmt.Errorf("read last good plan %s: %s", f.path(), faults)
	}
	return &plan, nil
}

func (f planFile) write(plan lbapi.Plan) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("keep plan of generation %d: %w", plan.Generation, err)
		}
	}()
	data, err := json.Marshal(plan)
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(f.dir, ".plan-*")
	if err != nil {
		return err
	}
	if _, err = temp.Write(data); err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), f.path())
	}
	if err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	dir, err := os.Open(f.dir)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
