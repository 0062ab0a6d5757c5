package store

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// compactAt is the size of the log at which it is folded into the snapshot.
const compactAt = 16 << 20

// Store is a set of records in a directory. Its methods may be called at once.
type Store struct {
	dir string

	mu       sync.Mutex
	log      *os.File
	logBytes int
	seq      uint64
	records  map[string]map[string]json.RawMessage
}

// snapshot is the content of state.json: all records as of a transaction.
type snapshot struct {
	Seq     uint64                                `json:"seq"`
	Records map[string]map[string]json.RawMessage `json:"records"`
}

// transaction is a line of log.jsonl.
type transaction struct {
	Seq     uint64   `json:"seq"`
	Changes []change `json:"changes"`
}

type change struct {
	Kind string `json:"kind"`
	Key  string `json:"key"`
	// Value is absent for a record that is removed.
	Value json.RawMessage `json:"value,omitempty"`
}

// Open reads the state in dir, which is made if it is not there.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the state directory: %w", err)
	}
	s := &Store{dir: dir, records: map[string]map[string]json.RawMessage{}}
	if err := s.readSnapshot(); err != nil {
		return nil, err
	}
	if err := s.readLog(); err != nil {
		return nil, err
	}
	if err := s.compact(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Store) readSnapshot() error {
	data, err := os.ReadFile(s.path("state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the state: %w", err)
	}
	var snap snapshot
	if err := json.Unmarshal(data, &snap); err != nil {
		return fmt.Errorf("decode the state in %s: %w", s.path("state.json"), err)
	}
	s.seq = snap.Seq
	if snap.Records != nil {
		s.records = snap.Records
	}
	return nil
}

func (s *Store) readLog() error {
	file, err := os.Open(s.path("log.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer func() { _ = file.Close() }()
	lines := bufio.NewReader(file)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			// A last line with no end was being written when the process died:
			// its transaction never happened.
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the log: %w", err)
		}
		var tx transaction
		if err := json.Unmarshal(line, &tx); err != nil {
			return fmt.Errorf("decode the log in %s: %w", file.Name(), err)
		}
		// Lines up to the snapshot's number are in the snapshot: the process died
		// between writing it and emptying the log.
		if tx.Seq > s.seq {
			s.apply(tx)
		}
	}
}

func (s *Store) apply(tx transaction) {
	s.seq = tx.Seq
	for _, c := range tx.Changes {
		if c.Value == nil {
			delete(s.records[c.Kind], c.Key)
			continue
		}
		if s.records[c.Kind] == nil {
			s.records[c.Kind] = map[string]json.RawMessage{}
		}
		s.records[c.Kind][c.Key] = c.Value
	}
}

// compact writes a snapshot and begins an empty log.
func (s *Store) compact() error {
	data, err := json.Marshal(snapshot{Seq: s.seq, Records: s.records})
	if err != nil {
		return fmt.Errorf("encode the state: %w", err)
	}
	if err := WriteFile(s.path("state.json"), data); err != nil {
		return err
	}
	if s.log != nil {
		_ = s.log.Close()
	}
	s.log, err = os.OpenFile(s.path("log.jsonl"), os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("begin the log: %w", err)
	}
	s.logBytes = 0
	return nil
}

// Tx collects the changes of one transaction.
type Tx struct {
	changes []change
	err     error
}

// Put sets a record.
func (t *Tx) Put(kind, key string, value any) {
	data, err := json.Marshal(value)
	if err != nil {
		t.err = errors.Join(t.err, fmt.Errorf("encode %s %q: %w", kind, key, err))
	}
	t.changes = append(t.changes, change{Kind: kind, Key: key, Value: data})
}

// Delete removes a record.
func (t *Tx) Delete(kind, key string) {
	t.changes = append(t.changes, change{Kind: kind, Key: key})
}

// Commit writes the changes, all or none.
func (s *Store) Commit(t *Tx) error {
	if t.err != nil || len(t.changes) == 0 {
		return t.err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	tx := transaction{Seq: s.seq + 1, Changes: t.changes}
	line, err := json.Marshal(tx)
	if err != nil {
		return fmt.Errorf("encode a transaction: %w", err)
	}
	if _, err := s.log.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write the log: %w", err)
	}
	s.apply(tx)
	s.logBytes += len(line)
	if s.logBytes < compactAt {
		return nil
	}
	return s.compact()
}

// Load decodes all records of a kind.
func Load[T any](s *Store, kind string) (map[string]T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]T, len(s.records[kind]))
	for _, key := range slices.Sorted(maps.Keys(s.records[kind])) {
		var value T
		if err := json.Unmarshal(s.records[kind][key], &value); err != nil {
			return nil, fmt.Errorf("decode %s %q: %w", kind, key, err)
		}
		out[key] = value
	}
	return out, nil
}

// Close ends writing.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Close()
}

// WriteFile writes a file that others see either whole or not at all.
func WriteFile(path string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
