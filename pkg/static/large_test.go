package static

import (
	"archive/tar"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// TestManyFiles: a site may have MaxFiles, and one more is refused.
func TestManyFiles(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	many := func(n int) io.Reader {
		r, w := io.Pipe()
		go func() {
			out := tar.NewWriter(w)
			for i := range n {
				name := fmt.Sprintf("p%03d/page-%d.html", i%500, i)
				if out.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: 4}) != nil {
					return
				}
				_, _ = io.WriteString(out, "page")
			}
			_ = w.CloseWithError(out.Close())
		}()
		return r
	}
	began := time.Now()
	digest, site, err := s.Import(t.Context(), many(MaxFiles))
	if err != nil || len(site.Files) != MaxFiles {
		t.Fatal(err)
	}
	t.Logf("imported in %s", time.Since(began))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began = time.Now()
	h, err := s.Handler(model.Static{Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(began)
	runtime.GC()
	runtime.ReadMemStats(&after)
	held := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20
	t.Logf("read in %s, %d MB", took, held)
	if held > 120 {
		t.Errorf("a site of %d files takes %d MB", MaxFiles, held)
	}
	if w := ask(h, "GET", "/p007/page-7"); w.StatusCode != http.StatusOK || text(t, w) != "page" {
		t.Errorf("a page is answered %d", w.StatusCode)
	}
	if _, _, err := s.Import(t.Context(), many(MaxFiles+1)); model.KindOf(err) != model.KindTooLarge {
		t.Errorf("one more: %v", err)
	}
}

// BenchmarkServe is one answer from memory, without the network.
func BenchmarkServe(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	digest, _, err := s.Import(b.Context(), archive(b, map[string]string{"index.html": words, "a.css": words}))
	if err != nil {
		b.Fatal(err)
	}
	h, err := s.Handler(model.Static{Digest: digest})
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/a.css", nil)
	r.Header.Set("Accept-Encoding", "gzip, deflate, br")
	w := &nothing{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

type nothing struct{ header http.Header }

func (n *nothing) Header() http.Header       { return n.header }
func (*nothing) WriteHeader(int)             {}
func (*nothing) Write(b []byte) (int, error) { return len(b), nil }
