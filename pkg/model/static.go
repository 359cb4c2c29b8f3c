package model

import (
	"fmt"
	"strings"
)

// Static is what a release of an app of kind static serves, in place of an image and processes.
type Static struct {
	Digest   string `json:"digest,omitempty"`   // "sha256:…" of the site's list of files; "" until it is built
	Files    int    `json:"files,omitempty"`    // how many
	Bytes    int64  `json:"bytes,omitempty"`    // of all files
	SPA      bool   `json:"spa,omitempty"`      // paths without a file are answered with /index.html
	KeepHTML bool   `json:"keepHtml,omitempty"` // /about.html stays; otherwise it moves to /about
}

// Validate refuses a site that could not be served.
func (s Static) Validate() error {
	if s.Digest == "" {
		return nil // it is still to be built
	}
	if hex, ok := strings.CutPrefix(s.Digest, "sha256:"); !ok || len(hex) != 64 || strings.Trim(hex, "0123456789abcdef") != "" {
		return Invalid("%q is not a site's digest", s.Digest).WithHint("upload the site again and use the digest it answers")
	}
	return nil
}

// String tells people what it is: "12 files, 3.4 MB".
func (s Static) String() string {
	files := fmt.Sprintf("%d files", s.Files)
	if s.Files == 1 {
		files = "1 file"
	}
	switch {
	case s.Bytes < 1<<10:
		return fmt.Sprintf("%s, %d bytes", files, s.Bytes)
	case s.Bytes < 1<<20:
		return fmt.Sprintf("%s, %.1f KB", files, float64(s.Bytes)/(1<<10))
	case s.Bytes < 1<<30:
		return fmt.Sprintf("%s, %.1f MB", files, float64(s.Bytes)/(1<<20))
	}
	return fmt.Sprintf("%s, %.1f GB", files, float64(s.Bytes)/(1<<30))
}
