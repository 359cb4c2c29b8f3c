package static

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"path"
	"regexp"
	"strings"
)

// Bounds of one site.
const (
	MaxFiles    = 100_000
	MaxFile     = 512 << 20 // bytes of one file
	MaxSite     = 4 << 30   // bytes of all files
	MaxPath     = 1024      // bytes
	maxRuleFile = 1 << 20   // bytes of _redirects and _headers
)

// The files of a site that are rules and not content.
const (
	redirectsFile = "_redirects"
	headersFile   = "_headers"
)

// Site is one release of a site. It never changes.
type Site struct {
	Files     map[string]File `json:"files"` // by path without a leading slash: "index.html"
	Redirects []Redirect      `json:"redirects,omitempty"`
	Headers   []HeaderRule    `json:"headers,omitempty"`
	Bytes     int64           `json:"bytes"` // of all files, without compressed forms
}

// File is one file of a site.
type File struct {
	Hash  string   `json:"hash"` // hexadecimal SHA-256
	Size  int64    `json:"size"` // bytes
	Forms []string `json:"forms,omitempty"`
}

// encode returns the site's stored form and its digest, "sha256:…".
func (s *Site) encode() ([]byte, string, error) {
	b, err := json.Marshal(s) // maps are written in the order of their keys
	if err != nil {
		return nil, "", fmt.Errorf("writing a site: %w", err)
	}
	sum := sha256.Sum256(b)
	return b, "sha256:" + hex.EncodeToString(sum[:]), nil
}

// typeOf returns the media type of a path by its extension: the same on every box, whatever its /etc/mime.types says.
func typeOf(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".html", ".htm":
		return "text/html; charset=utf-8"
	case ".js", ".mjs", ".cjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".webmanifest":
		return "application/manifest+json"
	case ".svg":
		return "image/svg+xml"
	case ".txt":
		return "text/plain; charset=utf-8"
	case ".md":
		return "text/markdown; charset=utf-8"
	case ".xml", ".rss", ".atom":
		return "application/xml"
	case ".csv":
		return "text/csv; charset=utf-8"
	case ".wasm":
		return "application/wasm"
	case ".ico":
		return "image/x-icon"
	case ".avif":
		return "image/avif"
	case ".webp":
		return "image/webp"
	case ".woff":
		return "font/woff"
	case ".woff2":
		return "font/woff2"
	case ".ttf":
		return "font/ttf"
	case ".otf":
		return "font/otf"
	case ".mp4":
		return "video/mp4"
	case ".webm":
		return "video/webm"
	case ".mp3":
		return "audio/mpeg"
	case ".pdf":
		return "application/pdf"
	case ".zip":
		return "application/zip"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// worthCompressing tells whether compressing files of this type makes them smaller.
func worthCompressing(mediaType string) bool {
	t, _, _ := strings.Cut(mediaType, ";")
	switch t {
	case "application/json", "application/manifest+json", "application/xml", "application/wasm", "image/svg+xml", "image/x-icon", "font/ttf", "font/otf":
		return true
	}
	return strings.HasPrefix(t, "text/")
}

// A file whose name has a hash of its content in it never changes: index-BqX3kZ9a.js as Vite names it, main.3f2a9c1b.css
// as webpack does, chunk-ABCDEF12.js as esbuild does.
var fingerprint = regexp.MustCompile(`[.-]([A-Za-z0-9_-]{8,32})\.[a-z0-9]{1,8}(\.map)?$`)

// fingerprinted tells whether a path names its content. A word is none: it needs a digit, or letters of both cases.
func fingerprinted(name string) bool {
	m := fingerprint.FindStringSubmatch(path.Base(name))
	if m == nil {
		return false
	}
	h := m[1]
	digit := strings.ContainsAny(h, "0123456789")
	return digit && strings.ContainsFunc(h, isLetter) || h != strings.ToLower(h) && h != strings.ToUpper(h) && !strings.ContainsAny(h, "-_")
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
