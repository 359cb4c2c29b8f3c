package static

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
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

// mediaTypes says what a file is by its extension. It is all there is: what a box's own /etc/mime.types says would make
// another site of the same files elsewhere.
var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".htm": "text/html; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".cjs": "text/javascript; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".json": "application/json", ".map": "application/json",
	".webmanifest": "application/manifest+json",
	".svg":         "image/svg+xml",
	".txt":         "text/plain; charset=utf-8",
	".md":          "text/markdown; charset=utf-8",
	".xml":         "application/xml", ".rss": "application/xml", ".atom": "application/xml",
	".csv":   "text/csv; charset=utf-8",
	".wasm":  "application/wasm",
	".ico":   "image/x-icon",
	".avif":  "image/avif",
	".webp":  "image/webp",
	".woff":  "font/woff",
	".woff2": "font/woff2",
	".ttf":   "font/ttf",
	".otf":   "font/otf",
	".mp4":   "video/mp4", ".m4v": "video/mp4",
	".webm": "video/webm",
	".mp3":  "audio/mpeg",
	".pdf":  "application/pdf",
	".zip":  "application/zip",
	".png":  "image/png",
	".jpg":  "image/jpeg", ".jpeg": "image/jpeg",
	".gif": "image/gif",
	".bmp": "image/bmp",
	".tif": "image/tiff", ".tiff": "image/tiff",
	".apng": "image/apng",
	".jxl":  "image/jxl",
	".eot":  "application/vnd.ms-fontobject",
	".mov":  "video/quicktime",
	".ogv":  "video/ogg",
	".m4a":  "audio/mp4",
	".aac":  "audio/aac",
	".ogg":  "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg",
	".wav":  "audio/wav",
	".flac": "audio/flac",
	".vtt":  "text/vtt; charset=utf-8",
	".ics":  "text/calendar; charset=utf-8",
	".vcf":  "text/vcard; charset=utf-8",
	".yaml": "application/yaml", ".yml": "application/yaml",
	".jsonld":  "application/ld+json",
	".geojson": "application/geo+json",
	".xhtml":   "application/xhtml+xml",
	".gz":      "application/gzip", ".tgz": "application/gzip",
	".tar":  "application/x-tar",
	".7z":   "application/x-7z-compressed",
	".epub": "application/epub+zip",
	".rtf":  "application/rtf",
	".apk":  "application/vnd.android.package-archive",
	".doc":  "application/msword",
	".xls":  "application/vnd.ms-excel",
	".ppt":  "application/vnd.ms-powerpoint",
	".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
	".odt":  "application/vnd.oasis.opendocument.text",
	".ods":  "application/vnd.oasis.opendocument.spreadsheet",
}

// typeOf returns the media type of a path.
func typeOf(name string) string {
	return cmp.Or(mediaTypes[strings.ToLower(path.Ext(name))], "application/octet-stream")
}

// worthCompressing tells whether compressing files of this type makes them smaller.
func worthCompressing(mediaType string) bool {
	t, _, _ := strings.Cut(mediaType, ";")
	switch t {
	case "application/json", "application/manifest+json", "application/ld+json", "application/geo+json", "application/xml", "application/xhtml+xml", "application/yaml",
		"application/wasm", "image/svg+xml", "image/x-icon", "font/ttf", "font/otf":
		return true
	}
	return strings.HasPrefix(t, "text/")
}

// A file whose name has a hash of its content in it never changes: index-BqX3kZ9a.js as Vite names it, main.3f2a9c1b.css
// as webpack does, chunk-ABCDEF27.js as esbuild does. A browser that took photo-summer2024.jpg for one would show the old
// photo for a year, and nobody could help that: in doubt a name is none.
var (
	named     = regexp.MustCompile(`^(.+)\.[a-z0-9]{1,8}$`)
	hexHash   = regexp.MustCompile(`[.-]([0-9a-f]{8,32})$`)
	upperHash = regexp.MustCompile(`[.-]([A-Z2-7]{8})$`)
	mixedHash = regexp.MustCompile(`[.-]([A-Za-z0-9_-]{8}|[A-Za-z0-9]{9,32})$`)
)

// fingerprinted tells whether a path names its content. Pages never do: their names are addresses.
func fingerprinted(name string) bool {
	m := named.FindStringSubmatch(strings.TrimSuffix(path.Base(name), ".map"))
	if m == nil || strings.HasPrefix(typeOf(name), "text/html") {
		return false
	}
	for _, form := range []*regexp.Regexp{hexHash, upperHash} {
		if h := form.FindStringSubmatch(m[1]); h != nil && strings.ContainsAny(h[1], "0123456789") && strings.ContainsFunc(h[1], isLetter) {
			return true
		}
	}
	h := mixedHash.FindStringSubmatch(m[1])
	return h != nil && mixed(h[1])
}

// mixed tells whether letters of both cases and digits alternate as in no word: UserGuide and Report24 are none.
func mixed(h string) bool {
	if h == strings.ToLower(h) || h == strings.ToUpper(h) {
		return false
	}
	kind := func(c byte) int {
		switch {
		case c >= '0' && c <= '9':
			return 0
		case c >= 'a' && c <= 'z':
			return 1
		case c >= 'A' && c <= 'Z':
			return 2
		}
		return 3
	}
	changes := 0
	for i := 1; i < len(h); i++ {
		if kind(h[i]) != kind(h[i-1]) {
			changes++
		}
	}
	if strings.ContainsAny(h, "0123456789") && !strings.ContainsAny(h, "-_") {
		changes++
	}
	return changes >= len(h)/2
}

func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }
