package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestSnapshotAndRestoreWhileWriting(t *testing.T) {
	s, ids := seeded(t, 50)
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for ctx.Err() == nil {
			err := s.Update(ctx, func(tx *Tx) error { // all workloads or none
				for _, id := range ids {
					w, err := tx.Workload(id)
					if err != nil {
						return err
					}
					w.LastRelease++
					if err := tx.PutWorkload(w); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
	})
	path := filepath.Join(t.TempDir(), "restored.db")
	for range 5 {
		var file bytes.Buffer
		var said int64
		if err := s.Snapshot(t.Context(), &file, func(n int64) error { said = n; return nil }); err != nil {
			t.Fatal(err)
		}
		if said != int64(file.Len()) {
			t.Fatalf("said %d bytes, wrote %d", said, file.Len())
		}
		if err := Restore(path, &file); err != nil {
			t.Fatal(err)
		}
		r, err := Open(path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		d, err := r.Desired(t.Context())
		if err != nil || len(d.Workloads) != 50 {
			t.Fatalf("%d workloads, %v", len(d.Workloads), err)
		}
		for _, w := range d.Workloads {
			if w.Workload.LastRelease != d.Workloads[0].Workload.LastRelease {
				t.Fatal("the snapshot is torn")
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	writer.Wait()
	if _, err := os.Stat(path + EndingBefore); err != nil {
		t.Error("what was replaced is not kept")
	}
}

func TestRestoreRefuses(t *testing.T) {
	s, _ := seeded(t, 5)
	var good bytes.Buffer
	if err := s.Snapshot(t.Context(), &good, nil); err != nil {
		t.Fatal(err)
	}
	wantError(t, Restore(s.Path(), bytes.NewReader(good.Bytes())), model.KindConflict, "another pandabox daemon")

	path := filepath.Join(t.TempDir(), "pandabox.db")
	if err := Restore(path, bytes.NewReader(good.Bytes())); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken pipe")
	bent := bytes.Clone(good.Bytes())
	for i := 3 * 4096; i < 12*4096; i++ { // pages behind the two meta pages
		bent[i] ^= 0x55
	}
	for name, r := range map[string]io.Reader{
		"empty": bytes.NewReader(nil), "text": bytes.NewReader(bytes.Repeat([]byte("hello "), 10_000)),
		"cut": bytes.NewReader(good.Bytes()[:good.Len()/3]), "bent": bytes.NewReader(bent),
		"ends in an error": io.MultiReader(bytes.NewReader(good.Bytes()[:100]), &failing{broken}),
	} {
		if err := Restore(path, r); err == nil {
			t.Errorf("%s: restored", name)
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
			t.Errorf("%s: the store was changed", name)
		}
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

type failing struct{ err error }

func (f *failing) Read([]byte) (int, error) { return 0, f.err }

// stalled is a client that reads nothing until it is let go.
type stalled struct{ reached, release chan struct{} }

func (s *stalled) Write(p []byte) (int, error) {
	select {
	case <-s.reached:
	default:
		close(s.reached)
	}
	<-s.release
	return len(p), nil
}

func TestAStalledBackupHoldsUpNobody(t *testing.T) {
	s, _ := seeded(t, 5)
	client := &stalled{make(chan struct{}), make(chan struct{})}
	done := make(chan error)
	go func() { done <- s.Snapshot(t.Context(), client, nil) }()
	<-client.reached
	for i := range 40 { // 20 MB: a file mapped at its own size would have to be mapped anew many times
		if err := s.SaveBlob(fmt.Sprint(i), make([]byte, 500<<10)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.LoadBlob(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	close(client.release)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestADamagedFileIsTold bends a store in many places: it opens, or it is refused with what to do, and never takes the
// program with it.
func TestADamagedFileIsTold(t *testing.T) {
	s, _ := seeded(t, 30)
	var good bytes.Buffer
	if err := s.Snapshot(t.Context(), &good, nil); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	refused := 0
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 150 {
		bent := bytes.Clone(good.Bytes())
		at := 2*4096 + random.IntN(len(bent)-2*4096)
		switch i % 3 {
		case 0: // some bytes
			for j := at; j < min(at+1+random.IntN(64), len(bent)); j++ {
				bent[j] = byte(random.Uint32())
			}
		case 1: // a page's head
			at = at / 4096 * 4096
			for j := at; j < at+16; j++ {
				bent[j] = byte(random.Uint32())
			}
		case 2: // a page that never was written
			at = at / 4096 * 4096
			clear(bent[at:min(at+4096, len(bent))])
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.db", i))
		if err := os.WriteFile(path, bent, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Check(path); err != nil {
			refused++
			wantError(t, err, model.KindInternal, "pandabox restore")
		}
		if s, err := Open(path, Options{LockTimeout: time.Millisecond}); err == nil {
			_ = s.Close()
		}
	}
	if refused < 50 {
		t.Errorf("only %d of 150 damaged files were refused", refused)
	}
}
