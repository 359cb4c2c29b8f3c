package static

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync/atomic"

	"github.com/pandabox/pandabox/pkg/model"
)

// Handler answers requests from one site. It never changes, and may be used from any goroutine.
type Handler struct {
	site   *Site // without Files: names has them
	opt    model.Static
	store  *Store
	names  map[string]*page    // by name: "docs/index.html"
	direct map[string]*address // by path: what leads straight to a file, "/docs/"
	lost   map[string]*page    // 404.html, by the folder it stands in: "." and "docs"
	forced rules               // rules that win over files
	others rules
}

var _ http.Handler = (*Handler)(nil)

// address is a path that leads straight to a file.
type address struct {
	page   *page
	header atomic.Pointer[http.Header] // by _headers; nil until it is asked for
}

// answer is what a path leads to.
type answer struct {
	page     *page
	status   int
	location string // in place of a file: where to go
}

// newHandler takes the site over.
func newHandler(s *Store, site *Site, o model.Static) *Handler {
	h := &Handler{
		site: site, opt: o, store: s, names: make(map[string]*page, len(site.Files)), direct: make(map[string]*address, len(site.Files)), lost: map[string]*page{},
		forced: newRules(site.Redirects, true), others: newRules(site.Redirects, false),
	}
	for name, f := range site.Files {
		p := newPage(name, f)
		h.names[name] = p
		if path.Base(name) == "404.html" {
			h.lost[path.Dir(name)] = p
		}
	}
	for name := range site.Files {
		at := "/" + name
		for _, p := range []string{at, strings.TrimSuffix(at, ".html"), strings.TrimSuffix(at, "index.html")} {
			if a, ok := h.file(p, ""); ok && a.page != nil && cleanPath(p) == p {
				h.direct[p] = &address{page: a.page}
			}
		}
	}
	site.Files = nil
	return h
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		plain(w, http.StatusMethodNotAllowed, "This site takes GET and HEAD only.")
		return
	}
	if h.forced.none() {
		if a, ok := h.direct[r.URL.Path]; ok {
			if len(h.site.Headers) > 0 {
				addAll(w.Header(), h.headersOf(a, r.URL.Path))
			}
			h.send(w, r, a.page)
			return
		}
	}
	a := h.decide(r)
	addAll(w.Header(), h.headers(r.URL.Path))
	switch {
	case a.location != "":
		w.Header().Set("Location", a.location)
		plain(w, a.status, "Moved to "+a.location)
	case a.page == nil:
		plain(w, http.StatusNotFound, "There is no such page.")
	case a.status != http.StatusOK:
		h.sendWhole(w, r, a.page, a.status)
	default:
		h.send(w, r, a.page)
	}
}

// headersOf is headers of an address, found out once.
func (h *Handler) headersOf(a *address, p string) http.Header {
	if known := a.header.Load(); known != nil {
		return *known
	}
	found := h.headers(p)
	a.header.Store(&found)
	return found
}

// headers returns what _headers says of a path. A header it takes away has no values.
func (h *Handler) headers(p string) http.Header {
	var out http.Header
	for i := range h.site.Headers {
		rule := &h.site.Headers[i]
		if _, ok := match(rule.Path, p); !ok {
			continue
		}
		if out == nil {
			out = http.Header{}
		}
		for name, values := range rule.Set {
			out[name] = append(out[name], values...)
		}
		for _, name := range rule.Unset {
			out[name] = nil
		}
	}
	return out
}

func addAll(to, from http.Header) {
	for name, values := range from {
		to[name] = values
	}
}

// decide returns what a path leads to: files win over rules, but for rules with !.
func (h *Handler) decide(r *http.Request) answer {
	p, query := r.URL.Path, r.URL.RawQuery
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	if a, ok := h.redirect(&h.forced, p, query); ok {
		return a
	}
	if clean := cleanPath(p); clean != p {
		return move(clean, query)
	}
	if a, ok := h.file(p, query); ok {
		return a
	}
	if a, ok := h.redirect(&h.others, p, query); ok {
		return a
	}
	if index := h.names["index.html"]; index != nil && h.opt.SPA && (path.Ext(p) == "" || strings.Contains(r.Header.Get("Accept"), "text/html")) {
		return answer{page: index, status: http.StatusOK}
	}
	return h.notFound(p)
}

// notFound returns the nearest 404.html, as the folder of the path and those above it have one.
func (h *Handler) notFound(p string) answer {
	if len(h.lost) == 0 {
		return answer{status: http.StatusNotFound}
	}
	dir := p[1:min(len(p), MaxPath)] // no folder of a site has a longer name
	for {
		dir = dir[:max(strings.LastIndexByte(dir, '/'), 0)]
		if dir == "" {
			return answer{page: h.lost["."], status: http.StatusNotFound}
		}
		if p := h.lost[dir]; p != nil {
			return answer{page: p, status: http.StatusNotFound}
		}
	}
}

// file returns the file of a path: itself, a folder's index.html, or with clean URLs the page without its .html.
func (h *Handler) file(p, query string) (answer, bool) {
	name := p[1:]
	has := func(name string) bool { return h.names[name] != nil }
	ok := func(name string) (answer, bool) { return answer{page: h.names[name], status: http.StatusOK}, true }
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

// redirect applies the first rule that fits and leads somewhere.
func (h *Handler) redirect(all *rules, p, query string) (a answer, ok bool) {
	all.each(p, func(r *Redirect, found map[string]string) bool {
		if r.Status != http.StatusOK && r.Status != http.StatusNotFound {
			for k, v := range found {
				found[k] = escape(v)
			}
			to := expand(r.To, found)
			if strings.HasPrefix(to, "/") {
				to = "/" + strings.TrimLeft(to, "/") // two slashes would name another host
			}
			a, ok = answer{status: r.Status, location: withQuery(to, query)}, true
			return false
		}
		to, there := h.file(cleanPath(expand(r.To, found)), "")
		if bare, err := url.PathUnescape(r.To); !there && err == nil && bare != r.To { // a space can be written in no other way
			to, there = h.file(cleanPath(expand(bare, found)), "")
		}
		if there && to.page == nil { // the file has a nicer address
			nicer, _, _ := strings.Cut(to.location, "?")
			if nicer, err := url.PathUnescape(nicer); err == nil {
				to, there = h.file(nicer, "")
			}
		}
		if there && to.page != nil {
			a, ok = answer{page: to.page, status: r.Status}, true
		}
		return !ok
	})
	return a, ok
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
