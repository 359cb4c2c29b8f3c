package cli

import (
	"context"
	"os/exec"
	"strings"
	"unicode/utf8"

	"github.com/pandabox/pandabox/pkg/model"
)

// revisionOf asks git what the code of a folder is: the commit that is checked out, and whether the folder differs from
// it. It is nil where the folder is in no repository or its repository has no commit.
func revisionOf(ctx context.Context, dir string) *model.Revision {
	if _, err := git(ctx, dir, "check-ignore", "-q", "."); err == nil {
		return nil // the repository around the folder does not know it
	}
	status, err := git(ctx, dir, "--no-optional-locks", "status", "--porcelain=v2", "--branch", "--", ".")
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
	if told, err := git(ctx, dir, "log", "-1", "--no-show-signature", "--format=%s%n%an", r.Commit); err == nil {
		subject, author, _ := strings.Cut(told, "\n")
		r.Subject, r.Author = fitting(subject), fitting(strings.TrimSuffix(author, "\n"))
	}
	return r
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

func git(ctx context.Context, dir string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...).Output()
	return string(out), err //nolint:wrapcheck // that there is no answer is all that counts
}
