// Package pack turns a folder of source code into an archive, and an archive back into a folder.
package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"

	"github.com/pandabox/pandabox/pkg/model"
)

// The files that say what is left out. Only the first that is there counts, over what git ignores.
const (
	ignoreFile = ".pandaboxignore"
	dockerFile = ".dockerignore"
)

// List returns the files of dir that are its source, sorted, with slashes: what git knows or would add, or every file
// where dir is not in a git work tree, without what the ignore file leaves out. Folders are not listed.
func List(ctx context.Context, dir string) ([]string, error) {
	all, err := fromGit(ctx, dir)
	if err != nil {
		return nil, err
	}
	if all == nil {
		return listAll(dir)
	}
	return without(dir, all)
}

// listAll is List for a folder that is what git would take already: every file counts, whatever a .gitignore says.
func listAll(dir string) ([]string, error) {
	all, err := walk(dir)
	if err != nil {
		return nil, err
	}
	return without(dir, all)
}

// without returns the files that the ignore file does not leave out, sorted.
func without(dir string, all []string) ([]string, error) {
	match, err := ignored(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, name := range all {
		skip := false
		if match != nil {
			if skip, err = match.MatchesOrParentMatches(filepath.FromSlash(name)); err != nil {
				return nil, fmt.Errorf("leaving out %s: %w", name, err)
			}
		}
		if !skip {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// ignored reads the ignore file; nil where there is none.
func ignored(dir string) (*patternmatcher.PatternMatcher, error) {
	for _, name := range []string{ignoreFile, dockerFile} {
		f, err := os.Open(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		patterns, err := ignorefile.ReadAll(f)
		_ = f.Close()
		if err == nil {
			// The build needs these whatever is left out of its context.
			patterns = append(patterns, "!Dockerfile", "!Containerfile", "!pandabox.toml", "!Procfile", "!"+name)
			var m *patternmatcher.PatternMatcher
			if m, err = patternmatcher.New(patterns); err == nil {
				return m, nil
			}
		}
		return nil, model.Invalid("%s cannot be read", name).Wrap(err).WithWhy("%s", err).WithHint("it has one pattern a line, as .dockerignore does")
	}
	return nil, nil
}

// fromGit lists what git says, or what its repository says where git is not installed; nil where dir is in no work tree.
func fromGit(ctx context.Context, dir string) ([]string, error) {
	if _, err := exec.LookPath("git"); err != nil {
		c, err := findCheckout(dir)
		if err != nil || c == nil {
			return nil, err
		}
		defer func() { _ = c.Close() }()
		return c.list()
	}
	inside := exec.CommandContext(ctx, "git", "-C", dir, "rev-parse", "--is-inside-work-tree")
	inside.Env = append(os.Environ(), "LC_ALL=C")
	if out, err := inside.Output(); err != nil || strings.TrimSpace(string(out)) != "true" {
		return nil, distrusted(err)
	}
	if out, err := exec.CommandContext(ctx, "git", "-C", dir, "check-ignore", "-q", ".").CombinedOutput(); err == nil && len(out) == 0 {
		return nil, nil // the folder as a whole is ignored by the repository around it: it is deployed for its own sake
	}
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, model.Invalid("git cannot list the files").Wrap(err).WithWhy("%s", strings.TrimSpace(stderr.String())).
			WithHint("try: git -C %s status", dir)
	}
	files := []string{}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		st, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		switch {
		case name == "" || errors.Is(err, fs.ErrNotExist): // deleted, and git not yet told
		case err != nil:
			return nil, fmt.Errorf("looking at %s: %w", name, err)
		case st.IsDir(): // a submodule
			inner, err := submodule(ctx, dir, name)
			if err != nil {
				return nil, err
			}
			files = append(files, inner...)
		default:
			files = append(files, name)
		}
	}
	return files, nil
}

// distrusted returns the error of a work tree that git does not look at, since it belongs to somebody else; nil where
// there is none. Without git's word, what is ignored there would be taken too.
func distrusted(err error) error {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return nil
	}
	_, cmd, ok := strings.Cut(string(exit.Stderr), "git config --global")
	if !ok || !strings.Contains(string(exit.Stderr), "ownership") {
		return nil
	}
	return model.Invalid("git does not look at this folder: it belongs to another user").Wrap(err).
		WithHint("run it as that user, or trust the folder: git config --global%s", strings.TrimRight(cmd, "\n"))
}

// submodule lists the files of a repository within.
func submodule(ctx context.Context, dir, name string) ([]string, error) {
	at := filepath.Join(dir, filepath.FromSlash(name))
	if entries, err := os.ReadDir(at); err == nil && len(entries) == 0 {
		return nil, model.Invalid("the submodule %s is empty", name).WithHint("fetch it: git submodule update --init")
	}
	inner, err := List(ctx, at)
	if err != nil {
		return nil, err
	}
	for i := range inner {
		inner[i] = path.Join(name, inner[i])
	}
	return inner, nil
}

// walk lists every file but those of version control.
func walk(dir string) ([]string, error) {
	var out []string
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); p != dir && (name == ".git" || name == ".hg" || name == ".svn" || name == ".pandabox") {
				return fs.SkipDir
			}
			return nil
		}
		rel, err := filepath.Rel(dir, p)
		out = append(out, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing the files: %w", err)
	}
	return out, nil
}
