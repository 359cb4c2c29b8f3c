package pack

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

// revisions gives what is read with git, once it is the same as what is read without it.
func revisions(t *testing.T, dir string) *model.Revision {
	t.Helper()
	with := Revision(t.Context(), dir)
	path := os.Getenv("PATH")
	t.Setenv("PATH", "")
	without := Revision(t.Context(), dir)
	t.Setenv("PATH", path)
	if (with == nil) != (without == nil) || with != nil && *with != *without {
		t.Errorf("%s: with git %+v, without %+v", dir, with, without)
	}
	return with
}

func TestRevisionOfAFolder(t *testing.T) {
	dir := t.TempDir()
	if r := revisions(t, dir); r != nil {
		t.Errorf("of no repository: %+v", r)
	}
	git(t, dir, "init", "-q", "-b", "main")
	if r := revisions(t, dir); r != nil {
		t.Errorf("without a commit: %+v", r)
	}
	write(t, dir, map[string]string{".gitignore": "tmp\n"})
	write(t, dir, map[string]string{"web/main.go": "package main\n"})
	write(t, dir, map[string]string{"docs/x.md": "x\n"})
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "Sell more\n\nat half the price")
	hash, err := exec.Command("git", "-C", dir, "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := model.Revision{Commit: strings.TrimSpace(string(hash)), Branch: "main", Subject: "Sell more", Author: "t"}
	if r := revisions(t, dir); r == nil || *r != want {
		t.Errorf("got %+v, want %+v", r, want)
	}
	write(t, dir, map[string]string{"docs/x.md": "y\n"})
	write(t, dir, map[string]string{"tmp/ignored": ""})
	if r := revisions(t, filepath.Join(dir, "web")); r == nil || *r != want {
		t.Errorf("a change beside the folder: %+v", r)
	}
	write(t, dir, map[string]string{"web/new.go": "package main\n"})
	if r := revisions(t, filepath.Join(dir, "web")); r == nil || !r.Dirty || r.Commit != want.Commit {
		t.Errorf("with a new file: %+v", r)
	}
	if r := revisions(t, filepath.Join(dir, "tmp")); r != nil {
		t.Errorf("of a folder the repository ignores: %+v", r)
	}
	git(t, dir, "checkout", "-q", "--detach")
	git(t, dir, "commit", "-qam", strings.Repeat("ü", model.MaxRevisionField))
	r := revisions(t, dir)
	if r == nil || r.Branch != "" || len(r.Subject) > model.MaxRevisionField || !strings.HasPrefix(r.Subject, "üü") || r.Validate() != nil {
		t.Errorf("detached, with a long subject: %+v", r)
	}
}
