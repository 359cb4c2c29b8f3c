package static

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pandabox/pandabox/pkg/model"
)

func archive(t testing.TB, files map[string]string) io.Reader {
	t.Helper()
	var headers []tar.Header
	for _, name := range slices.Sorted(maps.Keys(files)) {
		headers = append(headers, tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(files[name]))})
	}
	return entries(t, headers, files)
}

func entries(t testing.TB, headers []tar.Header, files map[string]string) io.Reader {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range headers {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[h.Name]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &b
}

func TestImportIsReproducible(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"index.html": words, "a/b.css": "body{}"}
	one, site, err := s.Import(t.Context(), archive(t, files))
	if err != nil {
		t.Fatal(err)
	}
	two, _, err := s.Import(t.Context(), archive(t, map[string]string{"./index.html": words, "a/./b.css": "body{}"}))
	if err != nil || one != two {
		t.Errorf("the same files are %s and %s, %v", one, two, err)
	}
	if site.Bytes != int64(len(words)+6) || len(site.Files) != 2 {
		t.Errorf("the site has %d files of %d bytes", len(site.Files), site.Bytes)
	}
}

func TestImportRefuses(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644} }
	for name, c := range map[string]struct {
		headers []tar.Header
		files   map[string]string
		kind    model.Kind
		says    string
	}{
		"nothing":       {nil, nil, model.KindInvalid, "no files"},
		"up":            {[]tar.Header{file("../x")}, nil, model.KindInvalid, "leaves"},
		"up inside":     {[]tar.Header{file("a/../../x")}, nil, model.KindInvalid, "leaves"},
		"absolute":      {[]tar.Header{file("/etc/passwd")}, nil, model.KindInvalid, "leaves"},
		"newline":       {[]tar.Header{file("a\nb")}, nil, model.KindInvalid, "not a path"},
		"backslash":     {[]tar.Header{file(`a\b`)}, nil, model.KindInvalid, "not a path"},
		"twice":         {[]tar.Header{file("a"), file("./a")}, nil, model.KindInvalid, "twice"},
		"symlink":       {[]tar.Header{{Name: "x", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}, nil, model.KindInvalid, "no plain file"},
		"hard link":     {[]tar.Header{{Name: "x", Typeflag: tar.TypeLink, Linkname: "y"}}, nil, model.KindInvalid, "no plain file"},
		"device":        {[]tar.Header{{Name: "x", Typeflag: tar.TypeChar}}, nil, model.KindInvalid, "no plain file"},
		"bad redirects": {[]tar.Header{{Name: "_redirects", Typeflag: tar.TypeReg, Size: 11}}, map[string]string{"_redirects": "\n/a /b 299\n"}, model.KindInvalid, "_redirects line 2"},
		"bad headers":   {[]tar.Header{{Name: "_headers", Typeflag: tar.TypeReg, Size: 10}}, map[string]string{"_headers": "/a\n  nope\n"}, model.KindInvalid, "_headers line 2"},
	} {
		s, err := Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = s.Import(t.Context(), entries(t, c.headers, c.files))
		var e *model.Error
		if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(e.Error(), c.says) {
			t.Errorf("%s: %v, want %s with %q", name, err, c.kind, c.says)
		}
		nothingLeft(t, s)
	}
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(archive(t, map[string]string{"index.html": words}))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Import(t.Context(), bytes.NewReader(whole[:len(words)/2])); err == nil {
		t.Error("half an archive was taken")
	}
	nothingLeft(t, s)
	if _, _, err := s.Import(t.Context(), archive(t, map[string]string{"index.html": words})); err != nil {
		t.Fatal(err)
	}
	_, _, err = s.Import(t.Context(), archive(t, map[string]string{"index.html": words, "new.html": "new", "_redirects": "x"}))
	if err == nil {
		t.Error("bad rules were taken")
	}
	count := 0
	if err := s.blobs.each(func(string, string) error { count++; return nil }); err != nil || count != 4 { // words in four forms
		t.Errorf("%d files are kept, %v", count, err)
	}
}

// nothingLeft fails where a store holds a file.
func nothingLeft(t *testing.T, s *Store) {
	t.Helper()
	err := filepath.WalkDir(s.dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("left behind: %s", p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestBoundsOfASite(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = s.gather(t.Context(), func(g *gatherer) error {
		g.site.Bytes = MaxSite - 4
		return g.take("a", strings.NewReader("12345"))
	})
	if model.KindOf(err) != model.KindTooLarge || !strings.Contains(err.Error(), "4 GB") {
		t.Errorf("too large: %v", err)
	}
	nothingLeft(t, s)
	s.free = func() (int64, error) { return keepFree - 1, nil }
	if _, _, err := s.Import(t.Context(), archive(t, map[string]string{"index.html": words})); err != nil {
		t.Errorf("a small site on a full disk: %v", err)
	}
	if err := s.Reclaim(nil, time.Now().Add(2*unnamedFor)); err != nil {
		t.Fatal(err)
	}
	large := strings.Repeat("0123456789abcdef", (lookEvery+1<<20)/16)
	if _, _, err := s.Import(t.Context(), archive(t, map[string]string{"index.html": words, "large.bin": large})); model.KindOf(err) != model.KindNoSpace {
		t.Errorf("a large site on a full disk: %v", err)
	}
	nothingLeft(t, s)
}

func TestHiddenFilesAreLeftOut(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{
		"index.html": "home", ".env": "SECRET=1", ".git/config": "x", "a/.env": "x", "a/.git/HEAD": "x", "./.htpasswd": "x", ".well-known/security.txt": "me",
		".well-known/.env": "x", "a/.well-known/x": "x", "pandabox.toml": "x", "a..b/c.": "dots",
	}
	_, site, err := s.Import(t.Context(), archive(t, files))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range files {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	_, same, err := s.ImportDir(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".well-known/security.txt", "a..b/c.", "index.html"}
	for _, site := range []*Site{site, same} {
		if got := slices.Sorted(maps.Keys(site.Files)); !slices.Equal(got, want) {
			t.Errorf("it has %v", got)
		}
	}
}

func TestImportDirAndLinks(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "secret")
	for name, c := range map[string]struct {
		make func(dir string) error
		ok   bool
	}{
		"a link inside":     {func(dir string) error { return os.Symlink("index.html", filepath.Join(dir, "home.html")) }, true},
		"a link out":        {func(dir string) error { return os.Symlink(outside, filepath.Join(dir, "x")) }, false},
		"a link up":         {func(dir string) error { return os.Symlink("../../../etc/passwd", filepath.Join(dir, "x")) }, false},
		"a link to nothing": {func(dir string) error { return os.Symlink("none", filepath.Join(dir, "x")) }, false},
		"a link to itself":  {func(dir string) error { return os.Symlink("x", filepath.Join(dir, "x")) }, false},
		"a link to /":       {func(dir string) error { return os.Symlink("/", filepath.Join(dir, "x")) }, false},
		"a link to .":       {func(dir string) error { return os.Symlink(".", filepath.Join(dir, "x")) }, false},
		"a pipe":            {func(dir string) error { return unix.Mkfifo(filepath.Join(dir, "x"), 0o600) }, false},
		"a newline":         {func(dir string) error { return os.WriteFile(filepath.Join(dir, "a\nb"), nil, 0o600) }, false},
	} {
		dir := t.TempDir()
		err := errors.Join(os.WriteFile(outside, []byte("secret"), 0o600), os.WriteFile(filepath.Join(dir, "index.html"), []byte("home"), 0o600), c.make(dir))
		if err != nil {
			t.Fatal(err)
		}
		_, site, err := s.ImportDir(t.Context(), dir)
		if c.ok {
			if err != nil || site.Files["home.html"].Hash != site.Files["index.html"].Hash {
				t.Errorf("%s: %v", name, err)
			}
		} else if model.KindOf(err) != model.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPutRefusesTooMuch(t *testing.T) {
	b := blobs{dir: t.TempDir(), use: new(sync.RWMutex)}
	if _, _, tooLarge, err := b.put(strings.NewReader("12345"), 4); err != nil || !tooLarge {
		t.Errorf("five bytes of four: too large %v, %v", tooLarge, err)
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	if left, _ := filepath.Glob(filepath.Join(b.dir, ".*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// A file whose name is on the disk and whose content was lost with the power is made again.
func TestCompressedFormsThatACrashEmptied(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(words))
	lost := s.blobs.path(hex.EncodeToString(sum[:]), formBrotli)
	if err := errors.Join(os.MkdirAll(filepath.Dir(lost), 0o700), os.WriteFile(lost, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Import(t.Context(), archive(t, map[string]string{"index.html": words})); err != nil {
		t.Fatal(err)
	}
	if st, err := os.Stat(lost); err != nil || st.Size() == 0 {
		t.Errorf("it is still empty (%v)", err)
	}
}

func TestReclaim(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	kept, _, err := s.Import(t.Context(), archive(t, map[string]string{"index.html": words, "shared.css": "both"}))
	if err != nil {
		t.Fatal(err)
	}
	gone, _, err := s.Import(t.Context(), archive(t, map[string]string{"index.html": "other " + words, "shared.css": "both"}))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Reclaim([]string{kept}, time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Site(gone); err != nil {
		t.Errorf("a site uploaded just now is gone: %v", err)
	}
	if err := s.Reclaim([]string{kept}, time.Now().Add(2*unnamedFor)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Site(gone); model.KindOf(err) != model.KindNotFound {
		t.Errorf("a site nobody names: %v", err)
	}
	h, err := s.Handler(model.Static{Digest: kept})
	if err != nil {
		t.Fatal(err)
	}
	for target, want := range map[string]string{"/": words, "/shared.css": "both"} {
		if got := text(t, ask(h, "GET", target)); got != want {
			t.Errorf("%s of the kept site: %d bytes", target, len(got))
		}
	}
	count := 0
	if err := s.blobs.each(func(string, string) error { count++; return nil }); err != nil || count != 5 { // words in four forms, both
		t.Errorf("%d files are kept, %v", count, err)
	}
}

// TestReclaimAtOnce: a site that was kept once needs no grace when it no longer is.
func TestReclaimAtOnce(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"index.html": words}
	digest, _, err := s.Import(t.Context(), archive(t, files))
	if err != nil {
		t.Fatal(err)
	}
	reclaim := func(keep ...string) {
		t.Helper()
		if err := s.Reclaim(keep, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	reclaim()
	reclaim(digest)
	if _, _, err := s.Import(t.Context(), archive(t, files)); err != nil { // it counts as new
		t.Fatal(err)
	}
	reclaim()
	if _, err := s.Site(digest); err != nil {
		t.Errorf("a site imported anew is gone: %v", err)
	}
	reclaim(digest)
	reclaim()
	nothingLeft(t, s)
}

// TestReclaimWhileImporting: whatever is reclaimed meanwhile, what was imported is whole.
func TestReclaimWhileImporting(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 200 {
			if err := s.Reclaim(nil, time.Now()); err != nil {
				t.Error(err)
			}
		}
	}()
	for i := range 30 {
		digest, _, err := s.Import(t.Context(), archive(t, map[string]string{"index.html": words, "n": strings.Repeat("x", i%3)}))
		if err != nil {
			t.Fatal(err)
		}
		h, err := s.Handler(model.Static{Digest: digest})
		if err != nil {
			t.Fatal(err)
		}
		for _, accept := range []string{"", "br", "zstd", "gzip"} {
			if res := ask(h, "GET", "/", "Accept-Encoding", accept); res.StatusCode != http.StatusOK {
				t.Fatalf("round %d, %q: %d", i, accept, res.StatusCode)
			}
		}
	}
	<-done
}

func TestContentLostOnDisk(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"index.html": words})
	if err := os.RemoveAll(h.store.blobs.dir); err != nil {
		t.Fatal(err)
	}
	res := ask(h, "GET", "/")
	if res.StatusCode != http.StatusInternalServerError || res.Header.Get("Etag") != "" {
		t.Errorf("status %d, Etag %q", res.StatusCode, res.Header.Get("Etag"))
	}
}
