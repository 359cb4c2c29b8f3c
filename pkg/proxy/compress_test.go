package proxy

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestCompression(t *testing.T) {
	p := start(t)
	text := strings.Repeat("all work and no play ", 1000)
	b := app(t, "b-1", func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Type", r.URL.Query().Get("type"))
		if v := r.URL.Query().Get("encoding"); v != "" {
			h.Set("Content-Encoding", v)
		}
		h.Set("Etag", `"tag"`)
		if r.URL.Path == "/small" {
			_, _ = io.WriteString(w, "small")
			return
		}
		if r.URL.Path == "/length" {
			h.Set("Content-Length", fmt.Sprint(len(text)))
		}
		_, _ = io.WriteString(w, text)
	})
	publish(t, p, plain(serving("a.localhost", b)))
	c := client(t, p)
	for _, tt := range []struct{ path, accept, want string }{
		{"/?type=text/html", "gzip", "gzip"}, {"/length?type=text/html", "gzip, br", "gzip"}, {"/?type=application/json", "gzip, zstd", "zstd"},
		{"/length?type=image/svg%2Bxml", "zstd", "zstd"}, {"/?type=text/html", "identity", ""}, {"/?type=text/html", "br", ""},
		{"/?type=text/html", "gzip;q=0", ""}, {"/?type=image/png", "gzip", ""}, {"/?type=text/html&encoding=br", "gzip", "br"},
		{"/?type=text/event-stream", "gzip", ""}, {"/small?type=text/html", "gzip", ""}, {"/?type=", "gzip", ""},
	} {
		res := do(t, c, "GET", "http://a.localhost"+tt.path, nil, "Accept-Encoding", tt.accept)
		if got := res.Header.Get("Content-Encoding"); got != tt.want {
			t.Errorf("%s for %q: %q, want %q", tt.path, tt.accept, got, tt.want)
			continue
		}
		var r io.Reader = res.Body
		switch tt.want {
		case "gzip":
			zr, err := gzip.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			r = zr
		case "zstd":
			zr, err := zstd.NewReader(res.Body)
			if err != nil {
				t.Fatal(err)
			}
			defer zr.Close()
			r = zr
		}
		want := text
		if strings.HasPrefix(tt.path, "/small") {
			want = "small"
		}
		if got := readAll(t, r); got != want {
			t.Errorf("%s for %q: %d bytes, want %d", tt.path, tt.accept, len(got), len(want))
		}
		if tag := res.Header.Get("Etag"); (tt.want == "gzip" || tt.want == "zstd") != strings.HasPrefix(tag, "W/") {
			t.Errorf("%s for %q: tag %s", tt.path, tt.accept, tag)
		}
	}
}
