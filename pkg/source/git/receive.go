package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/pandabox/pandabox/pkg/model"
)

// push is one push under way.
type push struct {
	*Server
	actor   model.Actor
	at      place
	id      string // of the app; "" before it is there
	want    commands
	dir     string // its own folder
	repo    *repo  // of the app; empty before it is there
	objects objects
	tell    *reporter
	refs    map[string]plumbing.Hash
	plans   map[string]plan   // by ref: of branches that are to be deployed
	refused map[string]string // by ref
}

// receive takes one push: commands and a pack from in, what happens to out. ended, unless nil, is called when the client
// has sent all. The error is for the log: the client has been told, as far as it can be.
func (s *Server) receive(ctx context.Context, actor model.Actor, at place, in io.Reader, ended func(), out io.Writer) error {
	want, err := readCommands(in)
	if err != nil {
		return err
	}
	if len(want.list) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &push{Server: s, actor: actor, at: at, want: want, tell: newReporter(out, want, cancel), plans: map[string]plan{}, refused: map[string]string{}}
	unpack := "ok"
	err = p.run(ctx, in, ended)
	if err != nil {
		unpack = "refused"
		s.drain(ctx, in)
		p.tell.fail(err)
		for _, c := range want.list {
			p.refused[c.ref] = short(err)
		}
	}
	return errors.Join(internal(err), p.tell.end(unpack, want.list, p.refused))
}

// run does all but telling the end. An error is about the whole push.
func (p *push) run(ctx context.Context, in io.Reader, ended func()) (err error) {
	done, err := p.begin(p.at)
	if err != nil {
		return err
	}
	defer done()
	if p.id, err = p.cfg.Box.App(ctx, p.actor, p.at.org, p.at.app); err != nil {
		return err
	}
	if p.dir, err = os.MkdirTemp(filepath.Join(p.Repositories.dir, incoming), "push-"); err != nil {
		return fmt.Errorf("making a folder for a push: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(p.dir)) }()
	fresh := openRepo(p.dir)
	if err := os.MkdirAll(fresh.packDir(), 0o700); err != nil {
		return fmt.Errorf("making a folder for a push: %w", err)
	}
	if p.want.packed() {
		leave, err := p.moves.Take(ctx, p.at.org)
		if err != nil {
			return err
		}
		err = p.take(ctx, in, fresh.packDir())
		leave()
		if err != nil {
			return err
		}
	}
	if ended != nil {
		ended()
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	home := filepath.Join(p.dir, "none")
	if p.id != "" {
		home = p.dirOf(p.id)
	}
	p.repo = openRepo(home)
	defer func() { err = errors.Join(err, p.repo.Close()) }()
	p.objects = objects{p.repo, fresh}

	stop := p.alive(ctx)
	defer stop()
	shallow, err := p.repo.shallows()
	if err != nil {
		return err
	}
	for _, h := range p.want.shallow {
		shallow[h] = true
	}
	if len(shallow) > MaxShallow {
		return model.Errorf(model.KindTooLarge, "the repository has more than %d commits without parents", MaxShallow).WithHint("push from a whole clone: git fetch --unshallow")
	}
	if err := p.objects.complete(ctx, shallow); err != nil {
		return err
	}
	if p.refs, err = p.repo.refs(); err != nil {
		return err
	}
	p.update(ctx)
	return p.keep(ctx, fresh, shallow)
}

// alive shows signs of life until stop is called, which waits.
func (p *push) alive(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { p.tell.beat(ctx, p.cfg.Keep) })
	return func() { cancel(); wg.Wait() }
}

// update deploys what is to be, and leaves in refs those the push has when it is over.
func (p *push) update(ctx context.Context) {
	before := maps.Clone(p.refs)
	for _, c := range p.want.list {
		err := p.check(c)
		if err == nil {
			err = p.plan(ctx, c)
		}
		if err != nil {
			p.refuse(c, err)
		}
	}
	atomic := p.want.can("atomic")
	for _, c := range p.want.list {
		if p.refused[c.ref] != "" || atomic && len(p.refused) > 0 {
			continue
		}
		if err := p.one(ctx, c); err != nil {
			p.refuse(c, err)
			continue
		}
		if c.deletes() {
			delete(p.refs, c.ref)
		} else {
			p.refs[c.ref] = c.new
		}
	}
	if !atomic || len(p.refused) == 0 {
		return
	}
	p.refs = before
	for _, c := range p.want.list {
		if p.refused[c.ref] == "" {
			p.refused[c.ref] = "another of the same push was refused"
		}
	}
}

func (p *push) refuse(c command, err error) {
	p.tell.fail(err)
	if internal(err) != nil {
		p.cfg.Logger.Error().Err(err).Str("app", p.at.String()).Str("ref", c.ref).Msg("a push failed")
	}
	p.refused[c.ref] = short(err)
}

// check refuses a command for what it says.
func (p *push) check(c command) error {
	if err := checkRef(c.ref); err != nil {
		return model.Invalid("%s is refused", c.ref).WithWhy("%s", err).WithHint("push a branch: git push pandabox main")
	}
	if p.refs[c.ref] != c.old {
		return model.Conflict("%s is not where your git thinks it is", c.ref).WithHint("git fetch pandabox, then push again")
	}
	if c.deletes() {
		return nil
	}
	if len(p.refs) >= MaxRefs {
		return model.Errorf(model.KindTooLarge, "the repository has %d branches and tags", len(p.refs)).WithHint("delete some: git push pandabox --delete NAME")
	}
	for name := range p.refs {
		if strings.HasPrefix(name, c.ref+"/") || strings.HasPrefix(c.ref, name+"/") {
			return model.Conflict("%s and %s cannot both be", c.ref, name).WithHint("delete one: git push pandabox --delete NAME")
		}
	}
	t := plumbing.AnyObject
	if _, ok := c.branch(); ok {
		t = plumbing.CommitObject
	}
	if _, err := p.objects.EncodedObject(t, c.new); errors.Is(err, plumbing.ErrObjectNotFound) {
		return model.Invalid("the push lacks what %s is to be", c.ref).WithHint("push again; does git fsck find all objects?")
	} else if err != nil {
		return fmt.Errorf("reading %s: %w", c.new, err)
	}
	return nil
}

// keep moves the push's objects into the repository, and the refs with them.
func (p *push) keep(ctx context.Context, fresh *repo, shallow map[plumbing.Hash]bool) error {
	if len(p.refused) == len(p.want.list) {
		return nil
	}
	ctx = context.WithoutCancel(ctx) // what has been deployed is kept
	if p.id == "" {
		var err error
		if p.id, err = p.cfg.Box.App(ctx, p.actor, p.at.org, p.at.app); err != nil || p.id == "" {
			return err // an app that waits for approval: the next push sends all of it again
		}
	}
	defer p.lock(p.id)()
	home := openRepo(p.dirOf(p.id))
	defer func() { _ = home.Close() }()
	if err := home.make(headOf(p.refs)); err != nil {
		return err
	}
	if len(shallow) > 0 {
		if err := home.setShallows(shallow); err != nil {
			return err
		}
	}
	if err := home.adopt(fresh.packDir()); err != nil {
		return err
	}
	if err := home.setRefs(p.refs); err != nil {
		return err
	}
	if err := p.bound(ctx, home); err != nil { // the push is kept all the same; the next one tries again
		p.cfg.Logger.Error().Err(err).Str("app", p.at.String()).Msg("a repository cannot be made smaller")
	}
	return nil
}

// headOf chooses what a clone shows first.
func headOf(refs map[string]plumbing.Hash) string {
	for _, name := range []string{branches + "main", branches + "master"} {
		if _, ok := refs[name]; ok {
			return name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if strings.HasPrefix(name, branches) {
			return name
		}
	}
	return branches + "main"
}

// drain reads what a client still sends: one that is not read to the end does not listen.
func (s *Server) drain(ctx context.Context, in io.Reader) {
	most := s.cfg.MaxPack * drainFactor
	_, _ = io.Copy(io.Discard, &bounded{ctx: ctx, r: in, left: most, most: most}) // it has been refused already
}

// internal returns err if it is a defect or a fault of the box rather than of what was pushed.
func internal(err error) error {
	if errors.Is(err, context.Canceled) {
		return nil // the client went away
	}
	if k := model.KindOf(err); k == model.KindInternal || k == model.KindNoSpace {
		return err
	}
	return nil
}
