package model

import (
	"path"
	"strings"
)

// Source is code that came in through a door, kept as one archive under its hash until no build needs it.
type Source struct {
	Digest string `json:"digest"` // "sha256:…" of the archive
	Size   int64  `json:"size"`   // bytes of the archive
	Files  int    `json:"files"`
	Bytes  int64  `json:"bytes"` // of all files
}

// Revision says what code is, for people: which commit, and where from. Any field may be "".
type Revision struct {
	Commit  string `json:"commit,omitempty"`  // the full hash
	Branch  string `json:"branch,omitempty"`  //
	Subject string `json:"subject,omitempty"` // first line of the commit's message
	Author  string `json:"author,omitempty"`  //
	URL     string `json:"url,omitempty"`     // of the commit at its forge
	Dirty   bool   `json:"dirty,omitempty"`   // the code is the commit with changes
}

// Short returns "1a2b3c4 the subject", as far as it is known.
func (r Revision) Short() string {
	c := r.Commit[:min(7, len(r.Commit))]
	if r.Dirty && c != "" {
		c += "+"
	}
	return strings.TrimSpace(c + " " + r.Subject)
}

// Validate refuses what is too long to keep.
func (r Revision) Validate() error {
	for what, s := range map[string]string{"commit": r.Commit, "branch": r.Branch, "subject": r.Subject, "author": r.Author, "URL": r.URL} {
		if len(s) > MaxRevisionField {
			return Errorf(KindTooLarge, "the revision's %s is %d bytes long", what, len(s)).WithHint("at most %d bytes fit", MaxRevisionField)
		}
	}
	return nil
}

// MaxRevisionField bounds each field of a Revision, in bytes.
const MaxRevisionField = 1000

// CheckDir refuses what is no folder inside a source: "" is the whole, "apps/web" a part of it.
func CheckDir(what, dir string) error {
	if dir == "" {
		return nil
	}
	if len(dir) > 400 || path.IsAbs(dir) || path.Clean(dir) != dir || dir == ".." || strings.HasPrefix(dir, "../") || strings.ContainsAny(dir, "\x00\n\r") {
		return Invalid("%s: %q is no folder of the source", what, dir).WithHint(`write it relative to the source's root: "apps/web"`)
	}
	return nil
}
