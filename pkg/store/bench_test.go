package store

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func packageComment(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func BenchmarkDesired2000(b *testing.B) {
	s, _ := seeded(b, 2000)
	for b.Loop() {
		d, err := s.Desired(b.Context())
		if err != nil || len(d.Workloads) != 2000 {
			b.Fatal(len(d.Workloads), err)
		}
	}
}

func BenchmarkDesiredIn2000(b *testing.B) {
	s, _ := seeded(b, 2000)
	for b.Loop() {
		err := s.View(b.Context(), func(tx *Tx) error {
			d, err := tx.DesiredIn("org-1")
			if len(d) != 2000 {
				return fmt.Errorf("%d workloads", len(d))
			}
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpdateOneOf2000(b *testing.B) {
	s, ids := seeded(b, 2000)
	for b.Loop() {
		err := s.Update(b.Context(), func(tx *Tx) error {
			w, err := tx.Workload(ids[1000])
			if err != nil {
				return err
			}
			w.LastRelease++
			return tx.PutWorkload(w)
		})
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRecordNothingNew2000(b *testing.B) {
	s, _ := seeded(b, 2000)
	d, err := s.Desired(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	var us []model.WorkloadUpdate
	for _, w := range d.Workloads {
		us = append(us, model.WorkloadUpdate{WorkloadID: w.Workload.ID, Status: &w.Status})
	}
	for b.Loop() {
		if err := s.Record(b.Context(), us); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen2000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "pandabox.db")
	reopen := func(use func(*Store)) {
		s, err := Open(path, Options{})
		if err != nil {
			b.Fatal(err)
		}
		use(s)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	reopen(func(s *Store) { update(b, s, func(tx *Tx) error { _, err := seed(tx, 2000); return err }) })
	for b.Loop() {
		reopen(func(*Store) {})
	}
}
