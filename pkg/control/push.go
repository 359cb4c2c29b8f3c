package control

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Pushes decides what code that arrives at a door is deployed to.
type Pushes struct{ c *Control }

// Push is code that arrived: a branch of an app's repository is at a commit.
type Push struct {
	Branch  string
	Commit  string
	Message string   // of the commit, whole: [skip deploy] in it is honoured
	Changed []string // paths that differ from what was pushed before; nil: not known, which counts as all
}

// PushTarget is one environment a push is deployed to.
type PushTarget struct {
	Env string // its name
	Dir string // the folder of the source that is the app; "" the whole
}

// Untracked is how Targets begins to say that nobody wants a branch at all, with the branch behind it.
const Untracked = "no environment tracks the branch "

// skipMark in a commit's message keeps it from being deployed.
var skipMark = regexp.MustCompile(`(?i)\[(skip|no) (deploy|ci)\]|\[(deploy|ci) skip\]`)

// Skips tells whether a commit's message keeps it from being deployed.
func Skips(message string) bool { return skipMark.MatchString(message) }

// Targets returns the environments of an app that track the push's branch and want it now; an app that is not there yet
// is meant for production. skipped says in a few words why there are none: "no environment tracks the branch feature/x".
func (p *Pushes) Targets(ctx context.Context, actor model.Actor, org, app string, push Push) (targets []PushTarget, skipped string, err error) {
	if err := model.CheckBranch(push.Branch); err != nil {
		return nil, "", err
	}
	var envs map[string]model.Tracking
	err = p.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := p.c.org(tx, actor, identity.DeployCreate, org)
		if err != nil {
			return err
		}
		if err := model.CheckName("app", app); err != nil {
			return err
		}
		envs, err = trackings(tx, o, app)
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if mark := skipMark.FindString(push.Message); mark != "" {
		return nil, "the commit says " + mark, nil
	}
	for _, env := range slices.Sorted(maps.Keys(envs)) {
		t := envs[env]
		switch {
		case !t.Tracks(env, push.Branch):
			continue
		case t.Manual:
			skipped = fmt.Sprintf("%s is not deployed by pushes", env)
			continue
		}
		hit, err := touches(t.Patterns(), push.Changed)
		if err != nil {
			return nil, "", err
		}
		if !hit {
			skipped = fmt.Sprintf("nothing below %s changed", strings.Join(t.Patterns(), ", "))
			continue
		}
		targets = append(targets, PushTarget{Env: env, Dir: t.Dir})
	}
	if len(targets) > 0 {
		return targets, "", nil
	}
	if skipped == "" {
		skipped = Untracked + push.Branch
	}
	return nil, skipped, nil
}

// trackings returns what the environments of an app track, by name; previews follow their pull request and track nothing.
func trackings(tx *store.Tx, o model.Org, app string) (map[string]model.Tracking, error) {
	out := map[string]model.Tracking{EnvProduction: {}}
	a, err := tx.AppNamed(o.ID, app)
	if errors.Is(err, store.ErrNotFound) {
		return out, nil
	} else if err != nil {
		return nil, err
	}
	ws, err := tx.WorkloadsOf(a.ID)
	if err != nil {
		return nil, err
	}
	for _, w := range ws {
		e, err := tx.Environment(w.EnvID)
		if err != nil {
			return nil, err
		}
		switch {
		case e.Kind == model.EnvPreview || w.Deleting:
			delete(out, e.Name)
		case w.Tracking != nil:
			out[e.Name] = *w.Tracking
		default:
			out[e.Name] = model.Tracking{}
		}
	}
	return out, nil
}

// touches tells whether one of the paths that changed counts.
func touches(patterns, changed []string) (bool, error) {
	if len(patterns) == 0 || changed == nil {
		return true, nil
	}
	m, err := patternmatcher.New(patterns)
	if err != nil {
		return false, model.Invalid("the patterns of paths cannot be read").Wrap(err).WithWhy("%s", err).WithHint("correct them: pandabox track --paths")
	}
	for _, path := range changed {
		hit, err := m.MatchesOrParentMatches(path)
		if err != nil {
			return false, fmt.Errorf("matching %s: %w", path, err)
		}
		if hit {
			return true, nil
		}
	}
	return false, nil
}
