package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/capstan-k8s/capstan/internal/hostapi"
)

// journal is the agent's memory on disk: one file per VM and per operation, one
// for all tombstones and one for the boot. What cannot be read is set aside and
// never trusted.
type journal struct {
	dir   string
	files files
	now   func() time.Time
	log   *slog.Logger

	mu         sync.Mutex
	vms        map[hostapi.VMID]vmRecord
	tombstones map[hostapi.VMID]hostapi.Tombstone
	boot       bootRecord
}

const (
	vmFolder        = "vms"
	operationFolder = "operations"
	corruptFolder   = "corrupt"
	tombstoneFile   = "tombstones.json"
	bootFile        = "boot.json"
)

// openJournal reads the journal in dir and returns the operations in it, oldest
// first.
func openJournal(dir string, disk files, now func() time.Time, log *slog.Logger) (*journal, []operationRecord, error) {
	j := &journal{
		dir: dir, files: disk, now: now, log: log,
		vms: map[hostapi.VMID]vmRecord{}, tombstones: map[hostapi.VMID]hostapi.Tombstone{},
	}
	if err := j.readTrust(); err != nil {
		return nil, nil, err
	}
	err := j.readFolder(vmFolder, func(name string, raw []byte) error {
		var r vmRecord
		if err := decode(raw, &r); err != nil {
			return err
		}
		if r.Version != journalVersion || vmFile(r.Stamp.ID) != name {
			return fmt.Errorf("version %d of VM %q does not belong here", r.Version, r.Stamp.ID)
		}
		j.vms[r.Stamp.ID] = r
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	var operations []operationRecord
	err = j.readFolder(operationFolder, func(name string, raw []byte) error {
		var r operationRecord
		if err := decode(raw, &r); err != nil {
			return err
		}
		if r.Version != journalVersion || operationFile(r.Ref) != name || r.subject() == "" {
			return fmt.Errorf("version %d of operation %q does not belong here", r.Version, r.Ref)
		}
		operations = append(operations, r)
		return nil
	})
	slices.SortFunc(operations, func(a, b operationRecord) int {
		if c := a.Started.Compare(b.Started); c != 0 {
			return c
		}
		return strings.Compare(a.Ref, b.Ref)
	})
	return j, operations, err
}

// readTrust reads what decides whether a VM may be started. If the tombstones
// are lost, so is the knowledge that they were handed in.
func (j *journal) readTrust() error {
	var buried tombstoneRecord
	intact, err := j.read(tombstoneFile, func(raw []byte) error { return decodeVersion(raw, &buried, &buried.Version) })
	if err != nil {
		return err
	}
	for _, t := range buried.Tombstones {
		j.tombstones[t.Stamp.ID] = t
	}
	if _, err := j.read(bootFile, func(raw []byte) error { return decodeVersion(raw, &j.boot, &j.boot.Version) }); err != nil {
		return err
	}
	if !intact {
		j.boot = bootRecord{}
	}
	return nil
}

func (j *journal) readFolder(folder string, take func(name string, raw []byte) error) error {
	names, err := j.files.Names(filepath.Join(j.dir, folder))
	if err != nil {
		return fmt.Errorf("read journal folder %s: %w", folder, err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name, ".json") {
			// A write that was cut off.
			if err := j.files.Remove(filepath.Join(j.dir, folder, name)); err != nil {
				return fmt.Errorf("remove unfinished journal file %s: %w", name, err)
			}
			continue
		}
		if _, err := j.read(filepath.Join(folder, name), func(raw []byte) error { return take(name, raw) }); err != nil {
			return err
		}
	}
	return nil
}

// read hands a file to take and sets it aside if take does not like it. intact
// is false if there was something that could not be used.
func (j *journal) read(name string, take func(raw []byte) error) (intact bool, err error) {
	path := filepath.Join(j.dir, name)
	raw, err := j.files.Get(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err == nil {
		if err = take(raw); err == nil {
			return true, nil
		}
	}
	aside := filepath.Join(j.dir, corruptFolder, filepath.Base(name)+"."+j.now().UTC().Format("20060102T150405.000000000"))
	j.log.Error("journal file cannot be used and is set aside", "file", path, "aside", aside, "error", err)
	if err := j.files.Rename(path, aside); err != nil {
		return false, fmt.Errorf("set unusable journal file %s aside: %w", path, err)
	}
	return false, nil
}

func decode(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the end")
	}
	return nil
}

// decodeVersion decodes a file whose content counts only in this version.
func decodeVersion[T any](raw []byte, into *T, version *int) error {
	err := decode(raw, into)
	if err == nil && *version != journalVersion {
		err = fmt.Errorf("version %d is not known", *version)
	}
	if err != nil {
		var nothing T
		*into = nothing
	}
	return err
}

func (j *journal) put(name string, record any) error {
	raw, err := json.Marshal(record)
	if err == nil {
		err = j.files.Put(filepath.Join(j.dir, name), raw)
	}
	if err != nil {
		return fmt.Errorf("write journal file %s: %w", name, err)
	}
	return nil
}

func (j *journal) remove(name string) error {
	if err := j.files.Remove(filepath.Join(j.dir, name)); err != nil {
		return fmt.Errorf("remove journal file %s: %w", name, err)
	}
	return nil
}

func vmFile(id hostapi.VMID) string   { return "vm-" + string(id) + ".json" }
func operationFile(ref string) string { return "op-" + ref + ".json" }
