package pack

import (
	"context"
	"crypto/sha1" //nolint:gosec // that is how git names what it keeps
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/index"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/pandabox/pandabox/pkg/model"
)

// maxCommit bounds what is read of a commit, in bytes.
const maxCommit = 1 << 20

// Revision tells what the code of a folder is: the commit that is checked out, and whether the folder differs from it. It
// is nil where the folder is in no repository or its repository has no commit.
func Revision(ctx context.Context, dir string) *model.Revision {
	if _, err := exec.LookPath("git"); err == nil {
		return askRevision(ctx, dir)
	}
	c, err := findCheckout(dir)
	if err != nil || c == nil {
		return nil
	}
	defer func() { _ = c.Close() }()
	files, err := c.list()
	if err != nil || files == nil {
		return nil
	}
	return c.revision(files)
}

// askRevision asks git.
func askRevision(ctx context.Context, dir string) *model.Revision {
	if _, err := ask(ctx, dir, "check-ignore", "-q", "."); err == nil {
		return nil // the repository around the folder does not know it
	}
	status, err := ask(ctx, dir, "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--", ".")
	if err != nil {
		return nil
	}
	r := &model.Revision{}
	for line := range strings.Lines(status) {
		line = strings.TrimSuffix(line, "\n")
		if v, ok := strings.CutPrefix(line, "# branch.oid "); ok && v != "(initial)" {
			r.Commit = v
		} else if v, ok := strings.CutPrefix(line, "# branch.head "); ok && v != "(detached)" {
			r.Branch = fitting(v)
		} else if !strings.HasPrefix(line, "#") {
			r.Dirty = true
		}
	}
	if r.Commit == "" {
		return nil
	}
	if told, err := ask(ctx, dir, "log", "-1", "--no-show-signature", "--format=%s%n%an", r.Commit); err == nil {
		subject, author, _ := strings.Cut(told, "\n")
		r.Subject, r.Author = fitting(subject), fitting(strings.TrimSuffix(author, "\n"))
	}
	return r
}

func ask(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
	return string(out), err
}

// revision reads what askRevision asks for. Where something is staged anywhere, the folder counts as different.
func (c *checkout) revision(files []string) *model.Revision {
	head, err := storer.ResolveReference(c.Storage, plumbing.HEAD)
	if err != nil {
		return nil
	}
	r := &model.Revision{Commit: head.Hash().String()}
	if head.Name().IsBranch() {
		r.Branch = fitting(head.Name().Short())
	}
	tree := c.readCommit(head.Hash(), r)
	r.Dirty = !c.unchanged(files, tree)
	return r
}

// readCommit fills in what a commit says, and returns its tree.
func (c *checkout) readCommit(hash plumbing.Hash, r *model.Revision) (tree string) {
	o, err := c.EncodedObject(plumbing.CommitObject, hash)
	if err != nil {
		return ""
	}
	in, err := o.Reader()
	if err != nil {
		return ""
	}
	defer func() { _ = in.Close() }()
	text, err := io.ReadAll(io.LimitReader(in, maxCommit))
	if err != nil {
		return ""
	}
	header, message, _ := strings.Cut(string(text), "\n\n")
	for line := range strings.Lines(header) {
		line = strings.TrimSuffix(line, "\n")
		if v, ok := strings.CutPrefix(line, "tree "); ok {
			tree = v
		} else if v, ok := strings.CutPrefix(line, "author "); ok {
			name, _, _ := strings.Cut(v, " <")
			r.Author = fitting(name)
		}
	}
	subject, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n\n")
	r.Subject = fitting(strings.Join(strings.Split(strings.TrimSpace(subject), "\n"), " "))
	return tree
}

// unchanged tells whether the folder's files are those of the commit with this tree.
func (c *checkout) unchanged(files []string, tree string) bool {
	idx, err := c.Index()
	if err != nil || idx.Cache == nil || len(idx.Cache.Entries) == 0 || idx.Cache.Entries[0].Hash.String() != tree {
		return false
	}
	n := 0
	for _, e := range idx.Entries {
		name, ok := c.below(e.Name)
		if !ok || e.SkipWorktree {
			continue
		}
		if n++; !same(filepath.Join(c.dir, filepath.FromSlash(name)), e) {
			return false
		}
	}
	return n == len(files) // no file is new
}

// same tells whether a file is as the index has it: by its size and time as git does it, else by what is in it.
func same(at string, e *index.Entry) bool {
	st, err := os.Lstat(at)
	if err != nil {
		return false
	}
	if int64(e.Size) == st.Size() && e.ModifiedAt.Equal(st.ModTime()) {
		return true
	}
	h := sha1.New() //nolint:gosec // as above
	_, _ = fmt.Fprintf(h, "blob %d\x00", st.Size())
	if st.Mode()&os.ModeSymlink != 0 {
		to, err := os.Readlink(at)
		_, _ = io.WriteString(h, to)
		return err == nil && [20]byte(h.Sum(nil)) == [20]byte(e.Hash)
	}
	f, err := os.Open(at)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	_, err = io.Copy(h, f)
	return err == nil && [20]byte(h.Sum(nil)) == [20]byte(e.Hash)
}

// fitting cuts what a commit says to what the box keeps of it.
func fitting(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= model.MaxRevisionField {
		return text
	}
	n := model.MaxRevisionField
	for !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}
