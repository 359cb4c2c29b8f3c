package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ada", "-c", "user.email=ada@example.com"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func put(t *testing.T, dir, name, text string) {
	t.Helper()
	at := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRevisionOfAFolder(t *testing.T) {
	dir := t.TempDir()
	if r := revisionOf(t.Context(), dir); r != nil {
		t.Errorf("of no repository: %+v", r)
	}
	runGit(t, dir, "init", "-q", "-b", "main")
	if r := revisionOf(t.Context(), dir); r != nil {
		t.Errorf("without a commit: %+v", r)
	}
	put(t, dir, ".gitignore", "tmp\n")
	put(t, dir, "web/main.go", "package main\n")
	put(t, dir, "docs/x.md", "x\n")
	runGit(t, dir, "add", ".")
	runGit(t, dir, "commit", "-qm", "Sell more\n\nat half the price")
	want := model.Revision{Commit: runGit(t, dir, "rev-parse", "HEAD"), Branch: "main", Subject: "Sell more", Author: "Ada"}
	if r := revisionOf(t.Context(), dir); r == nil || *r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	put(t, dir, "docs/x.md", "y\n")
	put(t, dir, "tmp/ignored", "")
	if r := revisionOf(t.Context(), filepath.Join(dir, "web")); r == nil || *r != want {
		t.Errorf("a change beside the folder: %+v", r)
	}
	put(t, dir, "web/new.go", "package main\n")
	if r := revisionOf(t.Context(), filepath.Join(dir, "web")); r == nil || !r.Dirty || r.Commit != want.Commit {
		t.Errorf("with a new file: %+v", r)
	}
	if r := revisionOf(t.Context(), filepath.Join(dir, "tmp")); r != nil {
		t.Errorf("of a folder the repository ignores: %+v", r)
	}
	runGit(t, dir, "checkout", "-q", "--detach")
	runGit(t, dir, "commit", "-qam", strings.Repeat("ü", model.MaxRevisionField))
	r := revisionOf(t.Context(), dir)
	if r == nil || r.Branch != "" || len(r.Subject) > model.MaxRevisionField || !strings.HasPrefix(r.Subject, "üü") || r.Validate() != nil {
		t.Errorf("detached, with a long subject: %+v", r)
	}
}
