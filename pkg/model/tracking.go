package model

import (
	"strings"
)

// Tracking says which pushes of an app's code are deployed to an environment. The zero value is the default: in production
// the branches main and master, elsewhere none.
type Tracking struct {
	Branch string   `json:"branch,omitempty"` // "" is the default; otherwise one branch
	Manual bool     `json:"manual,omitempty"` // a push deploys nothing
	Dir    string   `json:"dir,omitempty"`    // the folder of the repository that is the app; "" the whole
	Paths  []string `json:"paths,omitempty"`  // a push that changes none of these deploys nothing; none: all below Dir count
}

// MaxTrackedPaths bounds Tracking.Paths.
const MaxTrackedPaths = 50

// Tracks tells whether pushes to a branch are meant for an environment of this name.
func (t Tracking) Tracks(env, branch string) bool {
	if t.Branch != "" {
		return t.Branch == branch
	}
	return env == string(EnvProduction) && (branch == "main" || branch == "master")
}

// Patterns returns the paths that count, nil for all.
func (t Tracking) Patterns() []string {
	if len(t.Paths) == 0 && t.Dir != "" {
		return []string{t.Dir + "/**"}
	}
	return t.Paths
}

// Validate refuses what no repository could have.
func (t Tracking) Validate() error {
	if err := CheckBranch(t.Branch); t.Branch != "" && err != nil {
		return err
	}
	if err := CheckDir("dir", t.Dir); err != nil {
		return err
	}
	if len(t.Paths) > MaxTrackedPaths {
		return Invalid("%d patterns of paths", len(t.Paths)).WithHint("at most %d", MaxTrackedPaths)
	}
	for _, p := range t.Paths {
		if p == "" || len(p) > 400 || strings.HasPrefix(p, "/") || strings.ContainsAny(p, "\x00\r\n") {
			return Invalid("%q is no pattern of paths", p).WithHint(`write it relative to the repository: "apps/web/**", "!docs/**"`)
		}
	}
	return nil
}

// CheckBranch refuses what cannot be a branch's name; see git check-ref-format.
func CheckBranch(name string) error {
	bad := name == "" || len(name) > 250 || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") ||
		strings.HasSuffix(name, ".") || strings.HasSuffix(name, ".lock") || strings.Contains(name, "..") || strings.Contains(name, "//") ||
		strings.Contains(name, "@{") || name == "@" || strings.ContainsAny(name, " ~^:?*[\\\x7f")
	for _, r := range name {
		bad = bad || r < ' '
	}
	if bad {
		return Invalid("%q is not a branch", name).WithHint("write it as git does: main, feature/cart")
	}
	return nil
}
