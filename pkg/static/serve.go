package static

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// How browsers and caches in between may keep a file.
const (
	cacheForever = "public, max-age=31536000, immutable"
	cacheAsk     = "public, max-age=0, must-revalidate"
)

// Handler answers requests from one site. It never changes, and may be used from any goroutine.
type Handler struct {
	site  *Site
	opt   model.Static
	store *Store
	cache *cache
}

var _ http.Handler = (*Handler)(nil)

// answer is what a path leads to.
type answer struct {
	name     string // a file of the site
	status   int
	location string // in place of a file: where to go
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		plain(w, http.StatusMethodNotAllowed, "This site takes GET and HEAD only.")
		return
	}
	p := r.URL.Path
	a := h.decide(p, r.URL.RawQuery)
	for _, rule := range h.site.Headers {
		if _, ok := match(rule.Path, p); ok {
			for name, values := range rule.Set {
				w.Header()[name] = append(w.Header()[name], values...)
			}
			for _, name := range rule.Unset {
				w.Header().Del(name)
			}
		}
	}
	switch {
	case a.location != "":
		w.Header().Set("Location", a.location)
		plain(w, a.status, "Moved to "+a.location)
	case a.name == "":
		plain(w, http.StatusNotFound, "There is no such page.")
	default:
		h.send(w, r, a)
	}
}

// decide returns what a path leads to: files win over rules, but for rules with !.
func (h *Handler) decide(p, query string) answer {
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	if a, ok := h.redirect(p, query, true); ok {
		return a
	}
	if clean := cleanPath(p); clean != p {
		return move(clean, query)
	}
	if a, ok := h.file(p, query); ok {
		return a
	}
	if a, ok := h.redirect(p, query, false); ok {
		return a
	}
	if _, ok := h.site.Files["index.html"]; ok && h.opt.SPA && path.Ext(p) == "" {
		return answer{name: "index.html", status: http.StatusOK}
	}
	return h.notFound(p)
}

// notFound returns the nearest 404.html, as the folder of the path and those above it have one.
func (h *Handler) notFound(p string) answer {
	for dir := path.Dir(strings.TrimPrefix(p, "/")); ; dir = path.Dir(dir) {
		name := path.Join(dir, "404.html")
		if _, ok := h.site.Files[name]; ok {
			return answer{name: name, status: http.StatusNotFound}
		}
		if dir == "." || dir == "/" {
			return answer{status: http.StatusNotFound}
		}
	}
}

// file returns the file of a path: itself, a folder's index.html, or with clean URLs the page without its .html.
func (h *Handler) file(p, query string) (answer, bool) {
	name := p[1:]
	has := func(name string) bool { _, ok := h.site.Files[name]; return ok }
	ok := func(name string) (answer, bool) { return answer{name: name, status: http.StatusOK}, true }
	clean := !h.opt.KeepHTML
	switch {
	case name == "" || strings.HasSuffix(name, "/"):
		if has(name + "index.html") {
			return ok(name + "index.html")
		}
		if bare := strings.TrimSuffix(name, "/"); clean && bare != "" && has(bare+".html") {
			return move("/"+bare, query), true
		}
	case has(name):
		if base := path.Base(name); clean && base == "index.html" {
			return move("/"+strings.TrimSuffix(name, "index.html"), query), true
		} else if bare, html := strings.CutSuffix(name, ".html"); clean && html && base != "404.html" && !has(bare) && !has(bare+"/index.html") {
			return move("/"+bare, query), true
		}
		return ok(name)
	case clean && has(name+".html"):
		return ok(name + ".html")
	case has(name + "/index.html"):
		return move("/"+name+"/", query), true
	}
	return answer{}, false
}

// redirect applies the first rule that fits. Those with ! are asked before files, the rest after them.
func (h *Handler) redirect(p, query string, force bool) (answer, bool) {
	for i := range h.site.Redirects {
		r := &h.site.Redirects[i]
		if r.Force != force {
			continue
		}
		found, ok := match(r.From, p)
		if !ok {
			continue
		}
		if r.Status != http.StatusOK && r.Status != http.StatusNotFound {
			for k, v := range found {
				found[k] = escape(v)
			}
			return answer{status: r.Status, location: withQuery(expand(r.To, found), query)}, true
		}
		to := expand(r.To, found)
		if a, ok := h.file(cleanPath(to), ""); ok && a.name != "" {
			return answer{name: a.name, status: r.Status}, true
		} else if ok { // the file has a nicer address
			if a, ok := h.file(strings.SplitN(a.location, "?", 2)[0], ""); ok && a.name != "" {
				return answer{name: a.name, status: r.Status}, true
			}
		}
	}
	return answer{}, false
}

func move(p, query string) answer {
	return answer{status: http.StatusPermanentRedirect, location: withQuery(escape(p), query)}
}

// escape writes a path for a Location header. Two slashes at its beginning would name another host.
func escape(p string) string {
	s := (&url.URL{Path: p}).EscapedPath()
	if strings.HasPrefix(s, "//") {
		s = "/" + strings.TrimLeft(s, "/")
	}
	return s
}

func withQuery(to, query string) string {
	if query == "" || strings.Contains(to, "?") {
		return to
	}
	before, fragment, ok := strings.Cut(to, "#")
	if ok {
		return before + "?" + query + "#" + fragment
	}
	return to + "?" + query
}

// cleanPath is path.Clean, with the slash at the end kept.
func cleanPath(p string) string {
	c := path.Clean("/" + p)
	if c != "/" && strings.HasSuffix(p, "/") {
		c += "/"
	}
	return c
}

// send answers with a file.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, a answer) {
	f := h.site.Files[a.name]
	header := w.Header()
	form := ""
	if len(f.Forms) > 0 {
		header.Add("Vary", "Accept-Encoding")
		if r.Header.Get("Range") == "" {
			form = choose(f.Forms, r.Header.Values("Accept-Encoding"))
		}
	}
	setDefault(header, "Content-Type", typeOf(a.name))
	setDefault(header, "X-Content-Type-Options", "nosniff")
	tag := `"` + f.Hash[:32]
	if form != "" {
		header.Set("Content-Encoding", form)
		tag += "-" + form
	}
	if a.status != http.StatusOK {
		setDefault(header, "Cache-Control", "no-store")
		h.sendWhole(w, r, f, form, a.status)
		return
	}
	if fingerprinted(a.name) {
		setDefault(header, "Cache-Control", cacheForever)
	} else {
		setDefault(header, "Cache-Control", cacheAsk)
	}
	header.Set("Etag", tag+`"`)
	body, err := h.open(f, form)
	if err != nil {
		h.broken(w)
		return
	}
	defer func() { _ = body.Close() }()
	if form != "" { // http.ServeContent leaves out the length where there is a Content-Encoding
		w = &sized{ResponseWriter: w, length: body.size}
	}
	http.ServeContent(w, r, "", noTime(), body)
}

// sendWhole answers with a file that is not itself what was asked for: no ranges, no conditions.
func (h *Handler) sendWhole(w http.ResponseWriter, r *http.Request, f File, form string, status int) {
	body, err := h.open(f, form)
	if err != nil {
		h.broken(w)
		return
	}
	defer func() { _ = body.Close() }()
	w.Header().Set("Content-Length", strconv.FormatInt(body.size, 10))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, body) // a client that goes away is no fault
	}
}

func (h *Handler) broken(w http.ResponseWriter) {
	for _, name := range []string{"Etag", "Content-Encoding", "Content-Type", "Cache-Control"} {
		w.Header().Del(name)
	}
	plain(w, http.StatusInternalServerError, "The file cannot be read.")
}

// content is an opened file.
type content struct {
	io.ReadSeeker
	size  int64
	close func() error
}

func (c *content) Close() error { return c.close() }

// open returns a file's content in one of its forms, from memory where it is small.
func (h *Handler) open(f File, form string) (*content, error) {
	if f.Size <= maxCached {
		b, err := h.cache.get(h.store.blobs.path(f.Hash, form))
		if err != nil {
			return nil, err
		}
		return &content{ReadSeeker: bytes.NewReader(b), size: int64(len(b)), close: func() error { return nil }}, nil
	}
	file, err := os.Open(h.store.blobs.path(f.Hash, form))
	if err != nil {
		return nil, err
	}
	st, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &content{ReadSeeker: file, size: st.Size(), close: file.Close}, nil
}

// sized adds the length to whole answers.
type sized struct {
	http.ResponseWriter
	length int64
}

// Unwrap lets http.ResponseController reach what the writer can do besides.
func (w *sized) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *sized) WriteHeader(status int) {
	if status == http.StatusOK {
		w.Header().Set("Content-Length", strconv.FormatInt(w.length, 10))
	}
	w.ResponseWriter.WriteHeader(status)
}

// ReadFrom keeps sendfile within reach.
func (w *sized) ReadFrom(r io.Reader) (int64, error) { return io.Copy(w.ResponseWriter, r) }

// choose returns the first of forms that the client takes, "" for none.
func choose(forms, accept []string) string {
	if len(accept) == 0 {
		return ""
	}
	takes := map[string]bool{}
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(item, ";")
			q := strings.TrimPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			zero := q != "" && strings.Trim(q, "0.") == ""
			takes[strings.ToLower(strings.TrimSpace(name))] = !zero
		}
	}
	for _, form := range forms {
		if yes, named := takes[form]; yes || !named && takes["*"] {
			return form
		}
	}
	return ""
}

func setDefault(h http.Header, name, value string) {
	if _, ok := h[name]; !ok {
		h[name] = []string{value}
	}
}

func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // net/http drops it for HEAD
}
