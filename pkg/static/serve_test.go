package static

import (
	"compress/gzip"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"github.com/pandabox/pandabox/pkg/model"
)

var words = strings.Repeat("<p>the quick brown panda jumps over the lazy box</p>\n", 200)

func site(t *testing.T, o model.Static, files map[string]string) *Handler {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	digest, _, err := s.Import(t.Context(), archive(t, files))
	if err != nil {
		t.Fatal(err)
	}
	o.Digest = digest
	h, err := s.Handler(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func ask(h http.Handler, method, target string, headers ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPaths(t *testing.T) {
	files := map[string]string{
		"index.html": "home", "about.html": "about", "docs/index.html": "docs", "docs/guide.html": "guide", "404.html": "lost",
		"docs/404.html": "lost in docs", "both": "plain", "both.html": "html", "a b.txt": "space", "img/x.png": "png",
		"_redirects": "/old/* /docs/:splat 302\n/blog/:year/:slug /posts/:slug-:year 301\n/app/* /index.html 200\n/about2 /about 200\n" +
			"/docs/forced /elsewhere 301!\n/out https://example.com/x\n/gone /404.html 404\n",
	}
	h := site(t, model.Static{}, files)
	for _, c := range []struct {
		target   string
		status   int
		body     string
		location string
	}{
		{"/", 200, "home", ""},
		{"/index.html", 308, "", "/"},
		{"/about", 200, "about", ""},
		{"/about.html?x=1", 308, "", "/about?x=1"},
		{"/about/", 308, "", "/about"},
		{"/docs", 308, "", "/docs/"},
		{"/docs/", 200, "docs", ""},
		{"/docs/guide", 200, "guide", ""},
		{"/both", 200, "plain", ""},
		{"/both.html", 200, "html", ""},
		{"/a%20b.txt", 200, "space", ""},
		{"/img/x.png", 200, "png", ""},
		{"/img/", 404, "lost", ""},
		{"/nothing", 404, "lost", ""},
		{"/docs/nothing", 404, "lost in docs", ""},
		{"/_redirects", 404, "lost", ""},
		{"/old/a/b?q=1", 302, "", "/docs/a/b?q=1"},
		{"/blog/2026/hello", 301, "", "/posts/hello-2026"},
		{"/app/x/y", 200, "home", ""},
		{"/app", 200, "home", ""},
		{"/about2", 200, "about", ""},
		{"/docs/forced", 301, "", "/elsewhere"},
		{"/out", 301, "", "https://example.com/x"},
		{"/gone", 404, "lost", ""},
		{"//evil.example", 308, "", "/evil.example"},
		{"/docs/../about", 308, "", "/about"},
		{"/%2e%2e/%2e%2e/etc/passwd", 308, "", "/etc/passwd"},
		{"/old/%2F%2Fevil.example", 302, "", "/docs/%2F%2Fevil.example"},
	} {
		res := ask(h, "GET", c.target)
		if c.target == "/old/%2F%2Fevil.example" { // decoded slashes are slashes
			if loc := res.Header.Get("Location"); strings.HasPrefix(loc, "//") {
				t.Errorf("%s leads off the site: %s", c.target, loc)
			}
			continue
		}
		if res.StatusCode != c.status || res.Header.Get("Location") != c.location || c.body != "" && text(t, res) != c.body {
			t.Errorf("GET %s = %d, location %q; want %d %q %q", c.target, res.StatusCode, res.Header.Get("Location"), c.status, c.location, c.body)
		}
	}
}

func TestSPAAndKeepHTML(t *testing.T) {
	files := map[string]string{"index.html": "app", "about.html": "about", "404.html": "lost"}
	h := site(t, model.Static{SPA: true, KeepHTML: true}, files)
	for target, want := range map[string]string{"/": "200 app", "/a/b": "200 app", "/about.html": "200 about", "/x.js": "404 lost"} {
		res := ask(h, "GET", target)
		if got := fmt.Sprint(res.StatusCode, " ", text(t, res)); got != want {
			t.Errorf("GET %s = %q, want %q", target, got, want)
		}
	}
}

func TestMethods(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"index.html": words})
	if res := ask(h, "POST", "/"); res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST = %d, Allow %q", res.StatusCode, res.Header.Get("Allow"))
	}
	res := ask(h, "HEAD", "/")
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Length") != fmt.Sprint(len(words)) || text(t, res) != "" {
		t.Errorf("HEAD = %d, length %q", res.StatusCode, res.Header.Get("Content-Length"))
	}
}

func TestConditionsAndRanges(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"a.html": words, "v.bin": strings.Repeat("0123456789", 100)})
	first := ask(h, "GET", "/a")
	tag := first.Header.Get("Etag")
	if tag == "" || ask(h, "GET", "/a", "If-None-Match", tag).StatusCode != http.StatusNotModified {
		t.Errorf("the answer with Etag %q was not taken for the same", tag)
	}
	packed := ask(h, "GET", "/a", "Accept-Encoding", "gzip")
	if other := packed.Header.Get("Etag"); other == tag {
		t.Error("compressed and plain have one Etag")
	}
	for header, want := range map[string]string{"bytes=0-4": "206 01234", "bytes=-3": "206 789", "bytes=5000-": "416 "} {
		res := ask(h, "GET", "/v.bin", "Range", header, "Accept-Encoding", "gzip")
		got := fmt.Sprint(res.StatusCode, " ")
		if res.StatusCode == http.StatusPartialContent {
			got += text(t, res)
		}
		if got != want || res.Header.Get("Content-Encoding") != "" {
			t.Errorf("Range %s = %q, want %q", header, got, want)
		}
	}
}

func TestCompression(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"a.html": words, "tiny.html": "tiny", "x.png": words})
	readers := map[string]func(io.Reader) io.Reader{
		"br":   func(r io.Reader) io.Reader { return brotli.NewReader(r) },
		"zstd": func(r io.Reader) io.Reader { d, _ := zstd.NewReader(r); return d },
		"gzip": func(r io.Reader) io.Reader { d, _ := gzip.NewReader(r); return d },
		"":     func(r io.Reader) io.Reader { return r },
	}
	for accept, form := range map[string]string{
		"": "", "gzip": "gzip", "gzip, deflate, br, zstd": "br", "zstd;q=1, gzip;q=0.5": "zstd", "br;q=0, gzip": "gzip", "*": "br", "br;q=0, zstd;q=0.0, gzip;q=0": "", "identity": "",
	} {
		res := ask(h, "GET", "/a", "Accept-Encoding", accept)
		if got := res.Header.Get("Content-Encoding"); got != form {
			t.Errorf("Accept-Encoding %q gave %q, want %q", accept, got, form)
			continue
		}
		if res.Header.Get("Content-Length") == "" || res.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: length %q, Vary %q", accept, res.Header.Get("Content-Length"), res.Header.Get("Vary"))
		}
		if b, err := io.ReadAll(readers[form](res.Body)); err != nil || string(b) != words {
			t.Errorf("Accept-Encoding %q: %d bytes, %v", accept, len(b), err)
		}
	}
	for _, target := range []string{"/tiny", "/x.png"} {
		if res := ask(h, "GET", target, "Accept-Encoding", "br"); res.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s is compressed", target)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{
		"index.html": "home", "assets/app-BqX3kZ9a.js": "js", "assets/password.js": "js", "docs/a.html": "a",
		"_headers": "# comment\n/*\n  X-Frame-Options: DENY\n  Link: </a>; rel=preload\n/docs/*\n  Cache-Control: public, max-age=60\n  ! X-Frame-Options\n",
	})
	for target, want := range map[string]string{
		"/": cacheAsk + "|DENY", "/assets/app-BqX3kZ9a.js": cacheForever + "|DENY", "/assets/password.js": cacheAsk + "|DENY", "/docs/a": "public, max-age=60|",
	} {
		res := ask(h, "GET", target)
		if got := res.Header.Get("Cache-Control") + "|" + res.Header.Get("X-Frame-Options"); got != want {
			t.Errorf("%s: %q, want %q", target, got, want)
		}
		if res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s may be sniffed", target)
		}
	}
}

func TestTypesAreTheSameOnEveryBox(t *testing.T) {
	if err := mime.AddExtensionType(".panda", "text/html"); err != nil { // as its /etc/mime.types would
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"a.panda": "application/octet-stream", "a": "application/octet-stream", "a.PNG": "image/png", "a/b.jpeg": "image/jpeg", "a.html": "text/html; charset=utf-8",
		"a.min.js": "text/javascript; charset=utf-8", "a.yml": "application/yaml",
	} {
		if got := typeOf(name); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
}

func TestFingerprinted(t *testing.T) {
	for name, want := range map[string]bool{
		"assets/index-BqX3kZ9a.js": true, "main.3f2a9c1b.css": true, "chunk-ABCD2345.js": true, "app-DkPmYQxz.js.map": true, "a/b.5d41402abc4b2a76b9719d911017c592.png": true,
		"my-component-BqX3kZ9a.js": true, "index-Bq_3kZ-a.js": true, "logo.5d41402abc.svg": true, "a-IsR4nd0mB4s3.woff2": true,
		"posts/2024-01-15-hello-world.html": false, "posts/top-10-tips-for-x.html": false, "notes-BqX3kZ9a.html": false, "report-2024-Jan.pdf": false,
		"photo-summer2024.jpg": false, "logo-version2.png": false, "my-UserGuide.pdf": false, "react-MyComponent.js": false, "trip-DSC01234.jpg": false,
		"a-2024-01-15.png": false, "index.html": false, "jquery.validate.js": false, "my-component.js": false, "20260101-notes.html": false, "some-password-reset.js": false,
	} {
		if got := fingerprinted(name); got != want {
			t.Errorf("fingerprinted(%q) = %v", name, got)
		}
	}
}

// A file of a site may be called as it likes, also where its nicer address has to be written with %.
func TestRewriteToAPageWithANameOfItsOwn(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"über uns.html": "us", "über/index.html": "over", "_redirects": "/about/:x /über%20uns.html 200\n/o/* /über/index.html 200\n"})
	for target, want := range map[string]string{"/about/1": "200 us", "/o/1": "200 over"} {
		res := ask(h, "GET", target)
		if got := fmt.Sprint(res.StatusCode, " ", text(t, res)); got != want {
			t.Errorf("%s answers %q, not %q", target, got, want)
		}
	}
}

func TestRedirectsStayOnTheSite(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"index.html": "home", "_redirects": "/old/* /:splat 301\n/go/:where /:where/x 302\n/out/* https://example.com/:splat 302\n"})
	for _, target := range []string{"/old//evil.example", "/old/%2Fevil.example", "/old/%2F%2Fevil.example", "/old/%5Cevil.example", "/go/%2Fevil.example", "//evil.example/%2e%2e", "/old/%0d%0aSet-Cookie:x"} {
		loc := ask(h, "GET", target).Header.Get("Location")
		if strings.HasPrefix(loc, "//") || strings.ContainsAny(loc, "\\\r\n") || loc != "" && loc[0] != '/' {
			t.Errorf("%s leads to %q", target, loc)
		}
	}
	if loc := ask(h, "GET", "/out/@evil.example").Header.Get("Location"); !strings.HasPrefix(loc, "https://example.com/") {
		t.Errorf("it leads to %q", loc)
	}
	for _, to := range []string{"https://:splat", "https://example.com:splat", "https://a@:splat/x", "https://example.com:/x", "//evil.example", "https://"} {
		if _, err := parseRedirects("/a/* " + to + " 301"); err == nil {
			t.Errorf("a redirect to %s was taken", to)
		}
	}
}

func TestOrderOfRules(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"a.html": "a", "b.html": "b", "_redirects": "/x /b 200\n/:any/ /a 302\n/x /a 302\n/y /none 200\n/y /b 302\n/forced /a 200!\n", "forced.html": "not this"})
	for target, want := range map[string]string{"/x": "200 b", "/x/": "200 b", "/z": "404 There is no such page.\n", "/z/": "302 Moved to /a\n", "/y": "302 Moved to /b\n", "/forced": "200 a"} {
		res := ask(h, "GET", target)
		if got := fmt.Sprint(res.StatusCode, " ", text(t, res)); got != want {
			t.Errorf("GET %s = %q, want %q", target, got, want)
		}
	}
}

func TestNavigationInAnSPA(t *testing.T) {
	h := site(t, model.Static{SPA: true}, map[string]string{"index.html": "app"})
	for accept, want := range map[string]int{"text/html,*/*": 200, "*/*": 404, "image/png": 404} {
		if res := ask(h, "GET", "/users/john.doe", "Accept", accept); res.StatusCode != want {
			t.Errorf("Accept %s = %d, want %d", accept, res.StatusCode, want)
		}
	}
}

func TestHeadersTakenAway(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"index.html": "home", "_headers": "/*\n  ! Cache-Control\n  Vary: Origin\n"})
	for _, target := range []string{"/", "/none"} {
		if res := ask(h, "GET", target); len(res.Header["Cache-Control"]) != 0 || res.Header.Get("Vary") != "Origin" {
			t.Errorf("%s: %v", target, res.Header)
		}
	}
}

func TestIfRange(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"v.bin": strings.Repeat("0123456789", 100)})
	tag := ask(h, "HEAD", "/v.bin").Header.Get("Etag")
	for ifRange, want := range map[string]int{tag: 206, `"other"`: 200} {
		if res := ask(h, "GET", "/v.bin", "Range", "bytes=1-2", "If-Range", ifRange); res.StatusCode != want {
			t.Errorf("If-Range %s = %d, want %d", ifRange, res.StatusCode, want)
		}
	}
	if res := ask(h, "GET", "/v.bin", "If-Match", `"other"`); res.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("If-Match = %d", res.StatusCode)
	}
	if res := ask(h, "HEAD", "/v.bin", "If-None-Match", "W/"+tag); res.StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match = %d", res.StatusCode)
	}
	res := ask(h, "GET", "/v.bin", "Range", "bytes=0-1,4-5")
	if body := text(t, res); res.StatusCode != http.StatusPartialContent || !strings.HasPrefix(res.Header.Get("Content-Type"), "multipart/byteranges") || !strings.Contains(body, "45") {
		t.Errorf("two ranges = %d %q", res.StatusCode, body)
	}
}

// TestLargeFilesAreNotCached: they are read from the disk, whole and in part, on every way out.
func TestLargeFilesAreNotCached(t *testing.T) {
	large := strings.Repeat("0123456789abcdef", maxCached/8)
	h := site(t, model.Static{}, map[string]string{"large.bin": large, "404.html": large})
	for _, c := range []struct {
		target, header string
		status         int
		want           string
	}{{"/large.bin", "", 200, large}, {"/large.bin", "bytes=16-31", 206, "0123456789abcdef"}, {"/none", "", 404, large}} {
		res := ask(h, "GET", c.target, "Range", c.header)
		if c.header == "" {
			res = ask(h, "GET", c.target)
		}
		if got := text(t, res); res.StatusCode != c.status || got != c.want {
			t.Errorf("%s %s = %d, %d bytes", c.target, c.header, res.StatusCode, len(got))
		}
	}
	if n := h.store.cache.bytes; n > maxCached {
		t.Errorf("%d bytes are cached", n)
	}
}

func TestCacheLetsGo(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for i := range 2*cacheBudget/(100<<10) + 1 {
		files[fmt.Sprintf("%d.bin", i)] = strings.Repeat(fmt.Sprintf("%08d", i), 100<<10/8)
	}
	digest, _, err := s.Import(t.Context(), archive(t, files))
	if err != nil {
		t.Fatal(err)
	}
	h, err := s.Handler(model.Static{Digest: digest})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for name, want := range files {
			if got := text(t, ask(h, "GET", "/"+name)); got != want {
				t.Fatalf("%s has %d bytes", name, len(got))
			}
		}
	}
	held := int64(0)
	for _, p := range h.names {
		if b := p.forms[atPlain].Load(); b != nil {
			held += int64(len(b.bytes))
		}
	}
	if held > cacheBudget || held != s.cache.bytes || held < cacheBudget/2 {
		t.Errorf("%d bytes are held, %d are counted", held, s.cache.bytes)
	}
}

func TestLongPathsCostLittle(t *testing.T) {
	h := site(t, model.Static{}, map[string]string{"a/404.html": "lost", "404.html": "lost"})
	began := time.Now()
	for range 100 {
		if res := ask(h, "GET", "/"+strings.Repeat("a/", 30_000)); res.StatusCode != http.StatusNotFound {
			t.Fatal(res.StatusCode)
		}
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("a hundred took %s", took)
	}
}

// FuzzPaths: whatever is asked for, the answer is a file of the site, a move within it, or that there is none.
func FuzzPaths(f *testing.F) {
	for _, p := range []string{"/", "/a", "/a/../b", "//x", "/%2e%2e/x", "/old/x//y", "/.well-known/x", "/a.html", "/\\x", "/a/", "/index.html/", "/go/x"} {
		f.Add(p, "q=1", true, true)
	}
	s, err := Open(f.TempDir())
	if err != nil {
		f.Fatal(err)
	}
	files := map[string]string{"index.html": "home", "a.html": "a", "a/b.html": "b", "b": "b", "docs/index.html": "d", "docs/404.html": "lost", "_redirects": "/old/* /:splat 301\n/go/:x /a/:x 200\n/f/* /a 200!\n", "_headers": "/a/*\n  X-A: 1\n"}
	digest, _, err := s.Import(f.Context(), archive(f, files))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, p, query string, spa, keep bool) {
		h, err := s.Handler(model.Static{Digest: digest, SPA: spa, KeepHTML: keep})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.URL.Path, r.URL.RawQuery = p, query
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		loc := w.Header().Get("Location")
		switch w.Code {
		case http.StatusOK, http.StatusNotFound:
		case http.StatusMovedPermanently, http.StatusPermanentRedirect:
			u, err := url.Parse(loc)
			if !strings.HasPrefix(loc, "/") || strings.HasPrefix(loc, "//") || strings.Contains(loc, "\\") && !strings.Contains(query, "\\") || err == nil && u.Host != "" {
				t.Errorf("%q leads to %q", p, loc)
			}
		default:
			t.Errorf("%q is answered %d", p, w.Code)
		}
	})
}
