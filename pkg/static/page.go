package static

import (
	"strconv"
	"sync/atomic"
)

// How browsers and caches in between may keep a file.
const (
	cacheForever = "public, max-age=31536000, immutable"
	cacheAsk     = "public, max-age=0, must-revalidate"
)

// page is a file of a site as it is served.
type page struct {
	name  string
	file  File
	forms [4]atomic.Pointer[body] // plain, brotli, zstd, gzip; nil until it is asked for
}

func newPage(name string, f File) *page { return &page{name: name, file: f} }

// The places of a page's forms.
const (
	atPlain = iota
	atBrotli
	atZstd
	atGzip
)

func place(form string) int {
	switch form {
	case formBrotli:
		return atBrotli
	case formZstd:
		return atZstd
	case formGzip:
		return atGzip
	}
	return atPlain
}

// body is one form of a page with its header, made once: http.Header holds these very slices. It never changes.
type body struct {
	path     string // on the disk
	size     int64
	bytes    []byte // nil where it is read from the disk each time
	kind     []string
	encoding []string // nil for the plain form
	vary     []string // nil where there is only one form
	cache    []string
	tag      []string
	length   []string

	used atomic.Bool // since the cache last looked
	page *page
	at   int
}

// header returns the values that all bodies have in common, to be shared.
func (p *page) newBody(form, path string, size int64) *body {
	b := &body{
		path: path, size: size, kind: []string{typeOf(p.name)}, cache: []string{cacheAsk}, length: []string{strconv.FormatInt(size, 10)},
		page: p, at: place(form),
	}
	tag := `"` + p.file.Hash[:32]
	if form != "" {
		b.encoding = []string{form}
		tag += "-" + form
	}
	b.tag = []string{tag + `"`}
	if len(p.file.Forms) > 0 {
		b.vary = []string{"Accept-Encoding"}
	}
	if fingerprinted(p.name) {
		b.cache[0] = cacheForever
	}
	return b
}
