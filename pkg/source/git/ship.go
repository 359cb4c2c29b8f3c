package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source"
)

// Rejection is why git says that a ref was rejected, in a few words. What there is to say more is in Err.
type Rejection struct {
	Reason string // "build failed"
	Err    error
}

func (r *Rejection) Error() string { return r.Err.Error() }

// Unwrap returns what there is to say more.
func (r *Rejection) Unwrap() error { return r.Err }

// short is how a refusal is told behind the ref.
func short(err error) string {
	var r *Rejection
	if errors.As(err, &r) {
		return r.Reason
	}
	switch model.KindOf(err) {
	case model.KindTooLarge:
		return "too large"
	case model.KindConflict:
		return "conflict"
	case model.KindForbidden, model.KindNotFound, model.KindUnauthenticated:
		return "not allowed"
	case model.KindCanceled:
		return "canceled"
	case model.KindInternal:
		if errors.Is(err, context.Canceled) {
			return "canceled"
		}
		return "the box has a problem"
	case model.KindNoSpace:
		return "the box's disk is full"
	}
	return "refused"
}

// plan is a branch that is to be deployed.
type plan struct {
	commit *object.Commit
	to     []Target
}

// plan finds out what a command asks for and refuses what nobody wants.
func (p *push) plan(ctx context.Context, c command) error {
	branch, ok := c.branch()
	if !ok || c.deletes() {
		return nil
	}
	commit, err := object.GetCommit(p.objects, c.new)
	if err != nil {
		return fmt.Errorf("reading the commit %s: %w", c.new, err)
	}
	to, err := p.cfg.Box.Targets(ctx, p.actor, p.at.org, p.at.app, Push{
		Branch: branch, Commit: c.new.String(), Message: commit.Message, Changed: changed(ctx, p.objects, c.old, c.new),
	})
	switch {
	case err != nil:
		return err
	case len(to.Envs) > 0:
		p.plans[c.ref] = plan{commit, to.Envs}
	case to.Tracked:
		p.tell.say("not deployed: " + to.Skipped)
	default:
		return &Rejection{"no environment tracks " + branch, model.Invalid("the branch %s of %s is not deployed", branch, p.at.app).WithWhy("%s", to.Skipped).
			WithHint("push another: git push pandabox %s:main; or choose the branch: pandabox track %s -a %s -e ENV", branch, branch, p.at.app)}
	}
	return nil
}

// one does what a command asks for, besides the ref itself.
func (p *push) one(ctx context.Context, c command) error {
	branch, ok := c.branch()
	switch {
	case c.deletes():
		p.tell.say(strings.TrimPrefix(c.ref, branches) + " is deleted here; what was deployed of it goes on")
		return nil
	case !ok:
		p.tell.say(strings.TrimPrefix(c.ref, tags) + " is kept; tags are not deployed")
		return nil
	}
	plan, ok := p.plans[c.ref]
	if !ok {
		return nil
	}
	tree := filepath.Join(p.dir, "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		return fmt.Errorf("making a folder for the pushed files: %w", err)
	}
	err := writeTree(ctx, p.objects, plan.commit.TreeHash, tree)
	for i := 0; i < len(plan.to) && err == nil; i++ {
		t := plan.to[i]
		err = p.deploy(ctx, t, source.Arrival{
			Org: p.at.org, App: p.at.app, Env: t.Env, Tree: tree, Dir: t.Dir, Revision: revision(plan.commit, branch), Message: "git push",
		})
	}
	return errors.Join(err, os.RemoveAll(tree))
}

func (p *push) deploy(ctx context.Context, t Target, a source.Arrival) error {
	p.tell.say("→ " + p.at.app + ", " + t.Env)
	out, err := p.cfg.Box.Deploy(ctx, p.actor, a, p.tell.say)
	switch {
	case err != nil:
		return err
	case out.Approval != "":
		p.tell.say("waits for approval; an admin says: pandabox approvals approve " + out.Approval)
	case out.URL != "":
		p.tell.say(fmt.Sprintf("%s  release v%d", out.URL, out.Release))
	default:
		p.tell.say(fmt.Sprintf("release v%d of %s in %s", out.Release, p.at.app, t.Env))
	}
	return nil
}

func revision(c *object.Commit, branch string) model.Revision {
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	return model.Revision{Commit: c.Hash.String(), Branch: branch, Subject: fit(subject), Author: fit(c.Author.Name)}
}

func fit(s string) string {
	s = plain(s)
	if len(s) > model.MaxRevisionField {
		s = s[:model.MaxRevisionField]
	}
	return strings.ToValidUTF8(s, "")
}
