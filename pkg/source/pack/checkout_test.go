package pack

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

// withoutGit calls f on a machine that has no git.
func withoutGit(t *testing.T, f func()) {
	t.Helper()
	path := os.Getenv("PATH")
	t.Setenv("PATH", "")
	f()
	t.Setenv("PATH", path)
}

func TestListWithoutGitsProgramIsTheSame(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("HOME", t.TempDir())
	write(t, os.Getenv("HOME"), map[string]string{".gitconfig": "[core]\n\texcludesfile = " + os.Getenv("HOME") + "/ignore\n", "ignore": "*.swp\n"})
	git(t, dir, "init", "-q")
	write(t, dir, map[string]string{
		".gitignore": "# a comment\n*.o\n!keep.o\nbuild/\n/only-here\nnode_modules\nlogs/*\n!logs/.keep\n", "a.go": "", "x.o": "", "keep.o": "", "build/x": "",
		"only-here": "", "web/only-here": "", "web/.gitignore": "secret\n!y.o\n", "web/secret": "", "web/y.o": "", "web/z.o": "", "web/node_modules/p/index.js": "",
		"logs/1": "", "logs/.keep": "", "gone.go": "", "new/deep/file": "", "tracked.o": "", "name with space": "", "web/.x.swp": "", ".git/info/exclude": "mine\n", "mine": "",
	})
	git(t, dir, "add", ".")
	git(t, dir, "add", "-f", "tracked.o")
	git(t, dir, "commit", "-qm", "one")
	write(t, dir, map[string]string{"later.go": "", "web/later.o": "", "build/later": ""})
	if err := os.Remove(filepath.Join(dir, "gone.go")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("a.go", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, below := range []string{".", "web", "new", "build"} {
		at := filepath.Join(dir, below)
		with, err := List(t.Context(), at)
		if err != nil || len(with) == 0 {
			t.Fatal(with, err)
		}
		withoutGit(t, func() {
			if without, err := List(t.Context(), at); err != nil || !slices.Equal(with, without) {
				t.Errorf("%s: with git %q\nwithout %q, %v", below, with, without, err)
			}
		})
	}
}

func TestListRefusesWhatOnlyGitReads(t *testing.T) {
	dir, inner := t.TempDir(), t.TempDir()
	git(t, inner, "init", "-q")
	write(t, inner, map[string]string{"lib.go": ""})
	git(t, inner, "add", ".")
	git(t, inner, "commit", "-qm", "one")
	git(t, dir, "init", "-q")
	git(t, dir, "submodule", "--quiet", "add", inner, "sub")
	linked := filepath.Join(t.TempDir(), "linked")
	git(t, inner, "worktree", "add", "-q", linked)
	withoutGit(t, func() {
		for at, says := range map[string]string{dir: "the submodule sub", linked: "the work tree " + linked, filepath.Join(dir, "sub"): "the work tree"} {
			var e *model.Error
			if _, err := List(t.Context(), at); !errors.As(err, &e) || !strings.Contains(e.What, says) || e.Hint == "" {
				t.Errorf("%s: %v", at, err)
			}
		}
	})
}
