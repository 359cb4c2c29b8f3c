package archive

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source/pack"
)

func open(t *testing.T) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(filepath.Join(dir, "sources"), filepath.Join(dir, "trees"))
	if err != nil {
		t.Fatal(err)
	}
	return s, dir
}

// packed returns an archive of one file.
func packed(t *testing.T, text string) []byte {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := pack.Pack(t.Context(), dir, &out, nil); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func left(t *testing.T, dir string) int {
	t.Helper()
	all, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestASourceIsKeptAndUnpacked(t *testing.T) {
	s, dir := open(t)
	in := packed(t, "package main")
	src, err := s.Import(t.Context(), bytes.NewReader(in))
	if err != nil || src.Files != 1 || src.Bytes != 12 || src.Size != int64(len(in)) {
		t.Fatalf("%+v, %v", src, err)
	}
	if again, err := s.Import(t.Context(), bytes.NewReader(in)); err != nil || again != src {
		t.Errorf("the same again is %+v, %v", again, err)
	}
	tree, remove, err := s.Tree(t.Context(), src.Digest)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(tree, "main.go")); err != nil || string(text) != "package main" {
		t.Errorf("%q, %v", text, err)
	}
	remove()
	if n := left(t, filepath.Join(dir, "trees")); n > 0 {
		t.Errorf("%d trees are left", n)
	}
	if _, _, err := s.Tree(t.Context(), "sha256:"+src.Digest[8:]+"0"); model.KindOf(err) != model.KindNotFound {
		t.Errorf("a source that is not there: %v", err)
	}
	if _, _, err := s.Tree(t.Context(), "sha256:../../etc/passwd"); model.KindOf(err) != model.KindNotFound {
		t.Errorf("a path in place of a digest: %v", err)
	}
}

func TestWhatIsNoSourceLeavesNothing(t *testing.T) {
	s, dir := open(t)
	in := packed(t, "package main")
	for name, b := range map[string][]byte{"nothing": nil, "noise": []byte("hello"), "half": in[:len(in)/2]} {
		if src, err := s.Import(t.Context(), bytes.NewReader(b)); err == nil {
			t.Errorf("%s: kept as %+v", name, src)
		}
	}
	if n := left(t, filepath.Join(dir, "sources")) + left(t, filepath.Join(dir, "trees")); n > 0 {
		t.Errorf("%d files are left", n)
	}
}

func TestReclaim(t *testing.T) {
	s, dir := open(t)
	one, err := s.Import(t.Context(), bytes.NewReader(packed(t, "one")))
	if err != nil {
		t.Fatal(err)
	}
	two, err := s.Import(t.Context(), bytes.NewReader(packed(t, "two")))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reclaim(nil, time.Now()); err != nil || left(t, filepath.Join(dir, "sources")) != 2 {
		t.Errorf("what is fresh is gone (%v)", err)
	}
	if err := s.Reclaim([]string{two.Digest}, time.Now().Add(Grace+time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(s.file(one.Digest)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what nobody needs is still there (%v)", err)
	}
	if _, err := os.Stat(s.file(two.Digest)); err != nil {
		t.Errorf("what is kept is gone: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sources", half+"1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.files, s.trees); err != nil || left(t, s.files) != 1 {
		t.Errorf("half a source is left (%v)", err)
	}
}
