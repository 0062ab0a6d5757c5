package store_test

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/capstan-k8s/capstan/internal/fabric/store"
)

type record struct {
	N int `json:"n"`
}

func open(t *testing.T, dir string) *store.Store {
	t.Helper()
	s, err := store.Open(dir)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func commit(t *testing.T, s *store.Store, fill func(*store.Tx)) {
	t.Helper()
	var tx store.Tx
	fill(&tx)
	NewWithT(t).Expect(s.Commit(&tx)).To(Succeed())
}

func TestRecordsSurviveAnyNumberOfRestarts(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	for i := range 4 {
		s := open(t, dir)
		records, err := store.Load[record](s, "vm")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(records).To(HaveLen(i))
		commit(t, s, func(tx *store.Tx) {
			tx.Put("vm", string(rune('a'+i)), record{N: i})
			tx.Put("vm", "gone", record{})
		})
		commit(t, s, func(tx *store.Tx) { tx.Delete("vm", "gone") })
		g.Expect(s.Close()).To(Succeed())
	}
}

func TestTransactionThatWasCutOffNeverHappened(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, func(tx *store.Tx) { tx.Put("vm", "a", record{N: 1}) })
	commit(t, s, func(tx *store.Tx) {
		tx.Put("vm", "a", record{N: 2})
		tx.Put("vm", "b", record{N: 2})
	})
	g.Expect(s.Close()).To(Succeed())

	log := filepath.Join(dir, "log.jsonl")
	data, err := os.ReadFile(log)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(log, data[:len(data)-5], 0o600)).To(Succeed())

	g.Expect(store.Load[record](open(t, dir), "vm")).To(Equal(map[string]record{"a": {N: 1}}))
}

func TestLogThatIsInTheSnapshotAlreadyIsNotReplayed(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	s := open(t, dir)
	commit(t, s, func(tx *store.Tx) { tx.Put("vm", "a", record{N: 1}) })
	g.Expect(s.Close()).To(Succeed())
	stale, err := os.ReadFile(filepath.Join(dir, "log.jsonl"))
	g.Expect(err).NotTo(HaveOccurred())

	s = open(t, dir)
	commit(t, s, func(tx *store.Tx) { tx.Delete("vm", "a") })
	g.Expect(s.Close()).To(Succeed())
	g.Expect(open(t, dir).Close()).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dir, "log.jsonl"), stale, 0o600)).To(Succeed())

	g.Expect(store.Load[record](open(t, dir), "vm")).To(BeEmpty())
}

func TestDamagedStateIsReportedAndNotTakenForEmpty(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	g.Expect(os.WriteFile(filepath.Join(dir, "state.json"), []byte("{"), 0o600)).To(Succeed())
	_, err := store.Open(dir)
	g.Expect(err).To(MatchError(ContainSubstring("state.json")))
}
