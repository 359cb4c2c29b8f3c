package store

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestEventsAreARing(t *testing.T) {
	s := openTest(t)
	total := MaxEvents + 777
	for n := 0; n < total; {
		update(t, s, func(tx *Tx) error {
			for i := 0; i < 1000 && n < total; i++ {
				n++
				if err := tx.Emit(model.Event{Kind: "app", OrgID: fmt.Sprintf("org-%d", n%2)}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	all := allEvents(t, s)
	if len(all) != MaxEvents || all[0].Seq != 778 || all[len(all)-1].Seq != uint64(total) || all[0].At != testTime {
		t.Fatalf("%d events, %d to %d", len(all), all[0].Seq, all[len(all)-1].Seq)
	}
	var seen []uint64
	for after := uint64(5000); ; {
		var batch []model.Event
		var upTo, first uint64
		err := s.View(t.Context(), func(tx *Tx) (err error) {
			batch, upTo, first, err = tx.Events(after, 300, func(e *model.Event) bool { return e.OrgID == "org-1" })
			return err
		})
		if err != nil || first != 778 || len(batch) > 300 {
			t.Fatal(len(batch), first, err)
		}
		for _, e := range batch {
			seen = append(seen, e.Seq)
		}
		if upTo == after {
			break
		}
		after = upTo
	}
	if len(seen) != (total-5000)/2+1 || seen[0] != 5001 || !slices.IsSorted(seen) {
		t.Fatalf("%d events of one org", len(seen))
	}
}

func TestAuditIsARing(t *testing.T) {
	s := openTest(t)
	update(t, s, func(tx *Tx) error {
		if err := tx.bucket("audit").SetSequence(MaxAudit - 1); err != nil { // as if so many had been written
			return err
		}
		for i := range 5 {
			if err := tx.Record(model.AuditEvent{ID: fmt.Sprint(i), OrgID: fmt.Sprintf("org-%d", i%2)}); err != nil {
				return err
			}
		}
		return nil
	})
	got := view1(t, s, func(tx *Tx) ([]model.AuditEvent, error) {
		out, next, err := tx.Audit("org-0", "", 2)
		if next == "" {
			t.Error("no second page")
		}
		more, end, err2 := tx.Audit("org-0", next, 2)
		if end != "" {
			t.Error("a third page")
		}
		return append(out, more...), errors.Join(err, err2)
	})
	if len(got) != 3 || got[0].ID != "4" || got[2].ID != "0" {
		t.Fatalf("got %+v", got)
	}
	update(t, s, func(tx *Tx) error { return dropOldest(tx, audit(), MaxAudit+4, 2) })
	if n := view1(t, s, func(tx *Tx) (int, error) {
		return tx.bucket("audit").Stats().KeyN + tx.bucket("audit.org").Stats().KeyN, nil
	}); n != 4 {
		t.Fatalf("%d keys left", n)
	}
}

func TestIdempotencyExpires(t *testing.T) {
	now := testTime
	s, err := Open(filepath.Join(t.TempDir(), "pandabox.db"), Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	put := func(key string) {
		update(t, s, func(tx *Tx) error {
			return tx.PutIdempotent(Idempotent{Key: key, Answer: []byte("a"), ExpiresAt: now.Add(time.Hour)})
		})
	}
	put("one")
	now = now.Add(59 * time.Minute)
	put("two")
	view1(t, s, func(tx *Tx) (Idempotent, error) { return tx.Idempotent("one") })
	now = now.Add(time.Minute)
	if err := s.View(t.Context(), func(tx *Tx) error { _, err := tx.Idempotent("one"); return err }); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	now = now.Add(time.Second)
	put("three")
	if n := view1(t, s, func(tx *Tx) (int, error) { return tx.bucket("idempotency").Stats().KeyN, nil }); n != 2 {
		t.Fatalf("%d keys are kept", n)
	}
}

func TestBlobs(t *testing.T) {
	s := openTest(t)
	for _, key := range []string{"acme/a/x.crt", "acme/a/x.key", "acme/a", "acme/ab/y.crt", "other"} {
		if err := s.SaveBlob(key, []byte(key)); err != nil {
			t.Fatal(err)
		}
	}
	value, saved, err := s.LoadBlob("acme/a/x.key")
	if err != nil || string(value) != "acme/a/x.key" || !saved.Equal(testTime) {
		t.Fatalf("%q, %v, %v", value, saved, err)
	}
	if err := s.SaveBlob("empty", nil); err != nil {
		t.Fatal(err)
	}
	if value, _, err := s.LoadBlob("empty"); err != nil || len(value) != 0 {
		t.Fatalf("%q, %v", value, err)
	}
	if _, _, err := s.LoadBlob("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("got %v", err)
	}
	for prefix, want := range map[string][]string{
		"acme/a":  {"acme/a", "acme/a/x.crt", "acme/a/x.key", "acme/ab/y.crt"},
		"acme/a/": {"acme/a/x.crt", "acme/a/x.key"},
		"acme/b":  nil,
		"":        {"acme/a", "acme/a/x.crt", "acme/a/x.key", "acme/ab/y.crt", "empty", "other"},
	} {
		if got, err := s.ListBlobs(prefix); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %q, %v", prefix, got, err)
		}
	}
	for range 2 {
		if err := s.DeleteBlob("acme/a"); err != nil {
			t.Fatal(err)
		}
	}
	if got, _ := s.ListBlobs(""); !slices.Equal(got, []string{"acme/ab/y.crt", "empty", "other"}) {
		t.Errorf("left are %q", got)
	}
}

func TestRetention(t *testing.T) {
	s, ids := seeded(t, 2)
	id := ids[0]
	update(t, s, func(tx *Tx) error {
		w, err := tx.Workload(id)
		if err != nil {
			return err
		}
		for n := 2; n <= 200; n++ {
			target := model.Target{ReleaseID: fmt.Sprintf("release-%d", n), Generation: 1}
			d := model.Deploy{ID: fmt.Sprintf("deploy-%05d", n), WorkloadID: id, Target: target, State: model.DeployFailed}
			if n == 3 { // as old as can be, but on its way
				d.State = model.DeployPending
			}
			err := errors.Join(
				tx.PutConfig(model.Config{WorkloadID: id, Version: n}),
				tx.PutRelease(model.Release{ID: target.ReleaseID, WorkloadID: id, Number: n, ConfigVersion: n, Image: model.Image{Digest: fmt.Sprintf("sha256:%03d", n)}}),
				tx.PutDeploy(d))
			if err != nil {
				return err
			}
		}
		w.Want, w.ConfigVersion, w.LastRelease = model.Target{ReleaseID: "release-5", Generation: 1}, 200, 200
		if err := tx.PutWorkload(w); err != nil {
			return err
		}
		return tx.Trim(id)
	})
	rs := view1(t, s, func(tx *Tx) ([]model.Release, error) { out, _, err := tx.Releases(id, "", 0); return out, err })
	var old []int
	for _, r := range rs[KeepReleases:] {
		old = append(old, r.Number)
	}
	if rs[0].Number != 200 || !slices.Equal(old, []int{5, 3, 1}) { // wanted, on its way, good
		t.Errorf("kept besides the newest %d: %v", KeepReleases, old)
	}
	ds := view1(t, s, func(tx *Tx) ([]model.Deploy, error) { out, _, err := tx.Deploys(id, "", 0); return out, err })
	if len(ds) != KeepDeploys+1 || ds[len(ds)-1].ID != "deploy-00003" {
		t.Errorf("%d deploys, the last %s", len(ds), ds[len(ds)-1].ID)
	}
	n := 0
	_ = s.View(t.Context(), func(tx *Tx) error {
		return tx.EachConfig(func(c model.Config) error {
			if c.WorkloadID == id {
				n++
			}
			return nil
		})
	})
	if n != KeepReleases+3 {
		t.Errorf("%d configurations", n)
	}
	k, err := s.Keep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// Ten newest, wanted, good; and the one of the other workload.
	if len(k.Images) != KeepImages+3 || !slices.Contains(k.Images, "sha256:005") || slices.Contains(k.Images, "") || len(k.Environments) != 2 {
		t.Errorf("keep %+v", k)
	}
}
