package static

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// sendFrom is the size in bytes from which a file is handed to the kernel where that can send it by itself: on plain
// connections. Below, and for TLS up to maxCached, it is written from memory.
const sendFrom = maxCached + 1

// Values that every answer shares. They are never written to.
var (
	acceptRanges = []string{"bytes"}
	noSniff      = []string{"nosniff"}
)

// send answers with a page.
func (h *Handler) send(w http.ResponseWriter, r *http.Request, p *page) {
	special := conditional(r.Header)
	form := ""
	if len(p.file.Forms) > 0 && (!special || r.Header.Get("Range") == "") {
		form = choose(p.file.Forms, r.Header["Accept-Encoding"])
	}
	b, err := h.store.cache.get(p, form, h.store.blobs)
	if err != nil {
		broken(w)
		return
	}
	header := w.Header()
	b.describe(header)
	setDefault(header, "Cache-Control", b.cache)
	header["Etag"] = b.tag
	header["Accept-Ranges"] = acceptRanges
	if special {
		b.serveContent(w, r)
		return
	}
	header["Content-Length"] = b.length
	b.write(w, r, http.StatusOK)
}

// conditional tells whether a request wants more than the whole file.
func conditional(h http.Header) bool {
	_, a := h["If-None-Match"]
	_, b := h["Range"]
	_, c := h["If-Match"]
	return a || b || c
}

// sendWhole answers with a page that is not itself what was asked for: no ranges, no conditions.
func (h *Handler) sendWhole(w http.ResponseWriter, r *http.Request, p *page, status int) {
	b, err := h.store.cache.get(p, choose(p.file.Forms, r.Header["Accept-Encoding"]), h.store.blobs)
	if err != nil {
		broken(w)
		return
	}
	b.describe(w.Header())
	setDefault(w.Header(), "Cache-Control", []string{"no-store"})
	w.Header()["Content-Length"] = b.length
	b.write(w, r, status)
}

// describe sets what is true of the body whatever is done with it.
func (b *body) describe(h http.Header) {
	setDefault(h, "Content-Type", b.kind)
	setDefault(h, "X-Content-Type-Options", noSniff)
	if b.encoding != nil {
		h["Content-Encoding"] = b.encoding
	}
	if b.vary != nil {
		if v := h["Vary"]; len(v) > 0 {
			h["Vary"] = append(v[:len(v):len(v)], b.vary...)
		} else {
			h["Vary"] = b.vary
		}
	}
}

// write sends the whole body.
func (b *body) write(w http.ResponseWriter, r *http.Request, status int) {
	if r.Method == http.MethodHead {
		w.WriteHeader(status)
		return
	}
	if b.bytes != nil && (b.size < sendFrom || r.TLS != nil) {
		w.WriteHeader(status)
		_, _ = w.Write(b.bytes) // a client that goes away is no fault
		return
	}
	f, err := os.Open(b.path)
	if err != nil {
		broken(w)
		return
	}
	defer func() { _ = f.Close() }()
	w.WriteHeader(status)
	_, _ = io.Copy(w, f)
}

// serveContent answers a request with conditions or ranges.
func (b *body) serveContent(w http.ResponseWriter, r *http.Request) {
	var content io.ReadSeeker = bytes.NewReader(b.bytes)
	if b.bytes == nil {
		f, err := os.Open(b.path)
		if err != nil {
			broken(w)
			return
		}
		defer func() { _ = f.Close() }()
		content = f
	}
	if b.encoding != nil { // http.ServeContent leaves out the length where there is a Content-Encoding
		w = &sized{ResponseWriter: w, length: b.length}
	}
	http.ServeContent(w, r, "", time.Time{}, content) // without a time: archives are packed without them, and the Etag says more
}

// sized adds the length to whole answers.
type sized struct {
	http.ResponseWriter
	length []string
}

// Unwrap lets http.ResponseController reach what the writer can do besides.
func (w *sized) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *sized) WriteHeader(status int) {
	if status == http.StatusOK {
		w.Header()["Content-Length"] = w.length
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
	for _, form := range forms {
		takes, named := takes(accept, form)
		if !named {
			takes, _ = takesAll(accept)
		}
		if takes {
			return form
		}
	}
	return ""
}

func takesAll(accept []string) (yes, named bool) { return takes(accept, "*") }

// takes tells whether Accept-Encoding names a form, and whether its weight there is more than zero.
func takes(accept []string, form string) (yes, named bool) {
	for _, line := range accept {
		for item := range strings.SplitSeq(line, ",") {
			name, weight, _ := strings.Cut(item, ";")
			if !strings.EqualFold(strings.TrimSpace(name), form) {
				continue
			}
			q, _ := strings.CutPrefix(strings.TrimSpace(weight), "q=")
			return q == "" || strings.Trim(q, "0.") != "", true
		}
	}
	return false, false
}

func setDefault(h http.Header, name string, value []string) {
	if _, ok := h[name]; !ok {
		h[name] = value
	}
}

// broken answers for a file that cannot be read.
func broken(w http.ResponseWriter) {
	for _, name := range []string{"Etag", "Content-Encoding", "Content-Type", "Cache-Control", "Accept-Ranges"} {
		w.Header().Del(name)
	}
	plain(w, http.StatusInternalServerError, "The file cannot be read.")
}

func plain(w http.ResponseWriter, status int, text string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)+1))
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // net/http drops it for HEAD
}
