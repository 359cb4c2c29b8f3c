package proxy

import (
	"mime"
	"net/http"
	"strconv"
	"strings"
)

// minCompress is the length from which compressing is worth its while, in bytes.
const minCompress = 1 << 10

// compression chooses how an answer is to be compressed, "" for not at all, and sets its header accordingly.
// length is the body's in bytes, negative where it is not known.
func (x *exchange) compression(status int, length int64, h http.Header) string {
	if x.plain || !compressible(status, length, h) {
		return ""
	}
	if !mentions(h["Vary"], "Accept-Encoding") {
		h["Vary"] = append(h["Vary"][:len(h["Vary"]):len(h["Vary"])], "Accept-Encoding")
	}
	how := accepted(x.r.Header["Accept-Encoding"])
	if how == "" || x.r.Method == http.MethodHead || x.r.Header.Get("Range") != "" {
		return ""
	}
	h["Content-Encoding"] = []string{how}
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges")
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h["Etag"] = []string{"W/" + tag} // the same content, other bytes
	}
	return how
}

// compressible tells whether an answer may be and is worth being compressed.
func compressible(status int, length int64, h http.Header) bool {
	if status < 200 || status == http.StatusPartialContent || status == http.StatusNoContent ||
		status == http.StatusNotModified || length >= 0 && length < minCompress {
		return false
	}
	if len(h["Content-Encoding"]) > 0 || len(h["Content-Range"]) > 0 || mentions(h["Cache-Control"], "no-transform") {
		return false
	}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return false
	}
	if kind == "text/event-stream" {
		return false
	}
	main, sub, _ := strings.Cut(kind, "/")
	switch main {
	case "text":
		return true
	case "application", "image", "font", "model":
		if strings.HasSuffix(sub, "+json") || strings.HasSuffix(sub, "+xml") {
			return true
		}
		switch sub {
		case "json", "javascript", "x-javascript", "xml", "wasm", "manifest", "x-ndjson", "graphql", "rtf", "sql", "toml", "yaml",
			"vnd.ms-fontobject", "ttf", "otf", "bmp", "x-icon", "vnd.microsoft.icon":
			return true
		}
	}
	return false
}

// accepted returns the coding of ours that a client prefers, or "".
func accepted(values []string) string {
	best := ""
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			name, params, _ := strings.Cut(part, ";")
			name = strings.ToLower(strings.TrimSpace(name))
			if name != "zstd" && name != "gzip" || refuses(params) {
				continue
			}
			if name == "zstd" {
				return name
			}
			best = name
		}
	}
	return best
}

// refuses tells whether a coding's parameters say q=0.
func refuses(params string) bool {
	q, ok := strings.CutPrefix(strings.TrimSpace(params), "q=")
	if !ok {
		return false
	}
	f, err := strconv.ParseFloat(q, 64)
	return err != nil || f == 0
}

// mentions tells whether a list header names a token.
func mentions(values []string, token string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); strings.EqualFold(part, token) || part == "*" {
				return true
			}
		}
	}
	return false
}
