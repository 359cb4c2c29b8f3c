package forge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source"
)

// lookEvery is how often what is to be done is looked for without a cause.
const lookEvery = time.Minute

// Run does what was taken, until ctx ends; then it waits for what is under way, which begins again with the next Run.
func (s *Server) Run(ctx context.Context) {
	defer s.wg.Wait()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Error().Err(err).Msg("what forges told of cannot be read")
		}
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-tick.C:
		}
	}
}

// look gives each delivery that is new to its repository's lane.
func (s *Server) look(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending, err := s.cfg.Control.Repositories.Pending(ctx) // with the lock, so that none is read as pending and forgotten as done in between
	if err != nil {
		return err
	}
	for _, d := range pending {
		if s.known[d.ID] {
			continue
		}
		s.known[d.ID] = true
		lane, busy := s.lanes[d.RepositoryID]
		s.lanes[d.RepositoryID] = append(lane, d)
		if !busy {
			s.wg.Go(func() { s.work(ctx, d.RepositoryID) })
		}
	}
	return nil
}

// work does a repository's deliveries in their order, so that an older commit never takes the place of a newer one.
func (s *Server) work(ctx context.Context, repositoryID string) {
	for {
		s.mu.Lock()
		lane := s.lanes[repositoryID]
		if len(lane) == 0 || ctx.Err() != nil {
			delete(s.lanes, repositoryID)
			s.mu.Unlock()
			return
		}
		d := lane[0]
		s.lanes[repositoryID] = lane[1:]
		s.mu.Unlock()
		s.do(ctx, d)
	}
}

// do ships one delivery, and lets its end be watched beside the next.
func (s *Server) do(ctx context.Context, d model.Delivery) {
	repo, err := s.cfg.Control.Repositories.Open(ctx, d.RepositoryID)
	var shipped []ship
	if err == nil && d.State != model.DeliveryWaiting {
		if repo, err = s.opened(ctx, repo); err == nil {
			shipped, err = s.ship(ctx, repo, d)
		}
	}
	if ctx.Err() != nil {
		return // the next Run does it again; a deploy that was made is found by its idempotency key
	}
	s.wg.Go(func() {
		if d.State != model.DeliveryWaiting {
			d.State, d.Detail, d.Held = s.outcome(ctx, repo, shipped, err)
			for _, one := range shipped {
				d.Deploys = append(d.Deploys, one.deploy.ID+one.deploy.Approval)
			}
			s.keep(ctx, d)
		}
		if d.State == model.DeliveryWaiting {
			if err == nil {
				d = s.decided(ctx, repo, d)
			} else {
				d.State, d.Detail = model.DeliveryFailed, told(err)
			}
			s.keep(ctx, d)
		}
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		delete(s.known, d.ID)
		s.mu.Unlock()
	})
}

// keep writes down how far a delivery is, unless the server is being ended.
func (s *Server) keep(ctx context.Context, d model.Delivery) {
	if ctx.Err() != nil {
		return
	}
	if err := s.cfg.Control.Repositories.End(ctx, d); err != nil {
		s.cfg.Logger.Error().Err(err).Str("delivery", d.ID).Msg("what became of a message cannot be kept")
	}
}

// ship is one environment that a delivery is deployed to.
type ship struct {
	env    string
	deploy control.Deploy
	err    error
	record string // the forge's own record of the deployment, "" for none
}

// ship fetches what arrived and deploys it where it goes.
func (s *Server) ship(ctx context.Context, repo control.OpenRepository, d model.Delivery) ([]ship, error) {
	a := *d.Arrival
	if a.Pull != nil && a.Closed {
		if err := s.cfg.Control.Previews.Close(ctx, repo.Actor(), repo.Org, repo.App, a.Pull.Number); err != nil {
			return nil, err
		}
		s.retire(ctx, repo, model.PreviewName(a.Pull.Number))
		return nil, nil
	}
	dir, done, err := s.cfg.Source.Tree()
	if err != nil {
		return nil, err
	}
	defer done()
	refs := []string{a.Ref}
	if a.Ref == "" { // what production is made of by default
		refs = []string{"refs/heads/main", "refs/heads/master"}
	}
	f, err := s.fetch(ctx, repo, dir, refs...)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if a.Branch == "" {
		a.Branch = strings.TrimPrefix(f.ref, "refs/heads/")
	}
	at := f.commit.Hash.String()
	late := a.Commit != "" && a.Commit != at
	if late && a.Pull != nil {
		return nil, newer()
	}
	if !late && (a.Message == "" || a.Pull == nil) {
		a.Message = f.commit.Message
	}
	already := s.already(repo.ID, at, late)
	targets, err := s.targets(ctx, repo, a)
	if err == nil && a.Pull == nil && a.Env == "" {
		targets, err = s.due(ctx, repo, a.Commit, f.commit, targets, already)
	}
	if err != nil {
		return nil, err
	}
	tree, done, err := s.cfg.Source.Tree()
	if err != nil {
		return nil, err
	}
	defer done()
	if err := f.tree(ctx, tree); err != nil {
		return s.allFail(ctx, repo, at, targets, err)
	}
	f.close()
	remove(dir) // the tree is all that is needed
	subject, _, _ := strings.Cut(strings.TrimSpace(f.commit.Message), "\n")
	rev := model.Revision{Commit: at, Branch: a.Branch, Subject: clip(subject), Author: clip(f.commit.Author.Name), URL: clip(a.URL)}
	var out []ship
	for _, t := range targets {
		one := ship{env: t.Env}
		one.record = s.begin(ctx, repo, at, t.Env)
		one.deploy, one.err = s.cfg.Source.Ship(ctx, repo.Actor(), source.Arrival{
			Org: repo.Org, App: repo.App, Env: t.Env, Tree: tree, Dir: t.Dir, Revision: rev, Message: why(repo, a), IdempotencyKey: d.ID + "/" + t.Env,
		})
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		out = append(out, one)
	}
	if late {
		s.wentAhead(repo.ID, at, out)
	}
	return out, nil
}

// ahead is where a commit was deployed to before its own message came.
type ahead struct {
	commit string
	envs   map[string]bool
}

func (s *Server) wentAhead(repositoryID, commit string, shipped []ship) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.ahead[repositoryID]
	if one.commit != commit {
		one = ahead{commit, map[string]bool{}}
	}
	for _, t := range shipped {
		if t.err == nil {
			one.envs[t.env] = true
		}
	}
	s.ahead[repositoryID] = one
}

// already returns the environments that a commit was deployed to ahead of its message, which is the one that is not late.
func (s *Server) already(repositoryID, commit string, late bool) map[string]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.ahead[repositoryID]
	if !late {
		delete(s.ahead, repositoryID)
	}
	if one.commit != commit {
		return nil
	}
	return maps.Clone(one.envs)
}

// due returns the targets of a push that are to be deployed to now. Of one that came late, since a newer commit is there,
// those are left to the newer one's message which it deploys for sure: it may say [skip deploy], or change no path that
// counts. What was deployed so before its own message came is not deployed again.
func (s *Server) due(ctx context.Context, repo control.OpenRepository, pushed string, newest *object.Commit, targets []control.PushTarget, already map[string]bool) ([]control.PushTarget, error) {
	late := pushed != "" && pushed != newest.Hash.String()
	some := map[string]bool{}
	if late {
		all, err := s.cfg.Control.Trackings.List(ctx, repo.Actor(), repo.Org, repo.App)
		if err != nil {
			return nil, err
		}
		for _, t := range all {
			some[t.Env] = len(t.Patterns()) > 0
		}
	}
	var out []control.PushTarget
	for _, t := range targets {
		if already[t.Env] {
			continue
		}
		if late && !some[t.Env] {
			if !control.Skips(newest.Message) {
				continue
			}
			if was, err := s.released(ctx, repo, t.Env, pushed, newest.Hash.String()); err != nil {
				return nil, err
			} else if was {
				continue
			}
		}
		out = append(out, t)
	}
	switch {
	case len(out) > 0:
		return out, nil
	case late:
		return nil, newer()
	}
	return nil, nothing{"it was deployed with the message before"}
}

// released tells whether one of the commits serves, is to, or once did.
func (s *Server) released(ctx context.Context, repo control.OpenRepository, env string, commits ...string) (bool, error) {
	all, err := s.cfg.Control.Releases.List(ctx, repo.Actor(), control.Ref{Org: repo.Org, App: repo.App, Env: env}, control.Page{Limit: control.MaxPageLimit})
	if model.KindOf(err) == model.KindNotFound { // nothing was deployed there yet
		return false, nil
	}
	return slices.ContainsFunc(all.Items, func(r control.Release) bool {
		return (r.Good || r.Wanted) && r.Revision != nil && slices.Contains(commits, r.Revision.Commit)
	}), err
}

func newer() error { return nothing{"a newer commit is there; its own message deploys it"} }

// allFail is a commit that cannot be deployed anywhere: the forge is told so for each environment.
func (s *Server) allFail(ctx context.Context, repo control.OpenRepository, commit string, targets []control.PushTarget, err error) ([]ship, error) {
	var out []ship
	for _, t := range targets {
		out = append(out, ship{env: t.Env, err: err, record: s.begin(ctx, repo, commit, t.Env)})
	}
	return out, nil
}

// targets returns where what arrived goes.
func (s *Server) targets(ctx context.Context, repo control.OpenRepository, a model.Arrival) ([]control.PushTarget, error) {
	if a.Pull == nil && a.Env == "" {
		push := control.Push{Branch: a.Branch, Commit: a.Commit, Message: a.Message, Changed: a.Changed}
		if a.All {
			push.Changed = nil
		} else if push.Changed == nil {
			push.Changed = []string{}
		}
		targets, skipped, err := s.cfg.Control.Pushes.Targets(ctx, repo.Actor(), repo.Org, repo.App, push)
		if err == nil && len(targets) == 0 {
			err = nothing{skipped}
		}
		return targets, err
	}
	env := a.Env
	if a.Pull != nil {
		var err error
		if env, err = s.cfg.Control.Previews.Ensure(ctx, repo.Actor(), repo.Org, repo.App, *a.Pull); model.KindOf(err) == model.KindForbidden {
			return nil, nothing{err.Error()}
		} else if err != nil {
			return nil, err
		}
	}
	all, err := s.cfg.Control.Trackings.List(ctx, repo.Actor(), repo.Org, repo.App)
	if err != nil {
		return nil, err
	}
	dir := ""
	for _, t := range all { // a preview is of the folder that production is of
		if t.Env == env || t.Env == control.EnvProduction && dir == "" {
			dir = t.Dir
		}
	}
	return []control.PushTarget{{Env: env, Dir: dir}}, nil
}

// why is the deploy's message.
func why(repo control.OpenRepository, a model.Arrival) string {
	switch {
	case a.Pull != nil:
		return clip(fmt.Sprintf("pull request %d of %s: %s", a.Pull.Number, repo.Name, a.Pull.Title))
	case a.Env != "":
		return "deploy hook, " + a.Branch + " of " + repo.Name
	}
	return "push to " + a.Branch + " of " + repo.Name
}

// clip shortens what people wrote to what is kept of it.
func clip(s string) string {
	const most = 200
	if r := []rune(strings.ToValidUTF8(s, "\uFFFD")); len(r) > most {
		return string(r[:most]) + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
