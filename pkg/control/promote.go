package control

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Promotions move what one environment runs to another: the same image, site or code, with the other's variables.
type Promotions struct{ c *Control }

// Promotion is what a promote would do.
type Promotion struct {
	App      string          `json:"app"`
	From     string          `json:"from"`
	To       string          `json:"to"`
	Release  int             `json:"release"`           // number of the release that serves From
	What     string          `json:"what"`              // "Deploy 1a2b3c4 Sell more", as that release says
	Digest   string          `json:"digest"`            // of the image, site or code that moves
	Current  int             `json:"current,omitempty"` // number of the release that serves To; 0 for none
	Same     bool            `json:"same,omitempty"`    // To runs it already
	Changes  []string        `json:"changes,omitempty"` // besides the code: "process worker is new"
	Missing  []string        `json:"missing,omitempty"` // names of variables that From has and To has not
	Approval bool            `json:"approval,omitempty"`
	Revision *model.Revision `json:"revision,omitempty"`
}

// Plan returns what promoting from one environment to ref's would do.
func (p *Promotions) Plan(ctx context.Context, actor model.Actor, ref Ref, from string) (out Promotion, err error) {
	if err := ref.check(); err != nil {
		return out, err
	}
	err = p.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		src, r, err := p.c.promotable(tx, actor, ref, promotion{From: from})
		if err != nil {
			return err
		}
		out = Promotion{App: ref.App, From: from, To: ref.env(), Release: r.Number, What: r.Description, Digest: digestOf(r), Revision: r.Revision}
		to, err := p.c.find(tx, actor, identity.AppRead, ref)
		switch {
		case model.KindOf(err) == model.KindNotFound:
			to = place{org: src.org, app: src.app}
		case err != nil:
			return err
		}
		out.Approval = to.env.Protected && identity.Authorize(actor, identity.DeployApprove, src.org.ID) != nil
		var now model.Release
		if !to.w.Good.IsZero() {
			if now, err = tx.Release(to.w.Good.ReleaseID); err != nil {
				return err
			}
			out.Current, out.Same = now.Number, digestOf(now) == out.Digest
		}
		r.Jobs = promotedJobs(src.env, to.env, r, now)
		out.Changes = releaseChanges(now, r)
		out.Missing, err = missingIn(tx, src.w, to.w)
		return err
	})
	return out, err
}

// Create promotes: release is the number of the release of From that was planned with, 0 for whichever serves.
func (p *Promotions) Create(ctx context.Context, actor model.Actor, ref Ref, from string, release int, o DeployOptions) (out Deploy, err error) {
	if err := ref.check(); err != nil {
		return out, err
	}
	if err := checkMessage(o.Message); err != nil {
		return out, err
	}
	want := promotion{From: from, Release: release, Message: o.Message}
	err = p.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		org, err := p.c.org(tx, actor, identity.DeployCreate, ref.Org)
		if err != nil {
			return err
		}
		id, err := once(p.c, tx, actor, org.ID, "deploy.promote", o.IdempotencyKey, []any{ref.App, ref.env(), want}, func() (string, error) {
			_, r, err := p.c.promotable(tx, actor, ref, want)
			if err != nil {
				return "", err
			}
			want.Release = r.Number
			held, err := p.c.held(tx, actor, org, ref, "", request{Promote: &want}, fmt.Sprintf("v%d of %s", r.Number, from))
			if err != nil || held != "" {
				return held, err
			}
			return p.c.promote(tx, actor, org, ref, want)
		})
		if err != nil {
			return err
		}
		out, err = p.c.approvalOr(tx, id, ref)
		return err
	})
	return out, err
}

// promotable returns the release that would move, or why none can.
func (c *Control) promotable(tx *store.Tx, actor model.Actor, ref Ref, p promotion) (place, model.Release, error) {
	at := Ref{Org: ref.Org, App: ref.App, Env: p.From}
	if p.From == "" || p.From == ref.env() {
		return place{}, model.Release{}, model.Invalid("a release is promoted from one environment to another").WithHint("pandabox promote staging production")
	}
	src, err := c.find(tx, actor, identity.AppRead, at)
	if err != nil {
		return src, model.Release{}, err
	}
	if src.w.Good.IsZero() {
		return src, model.Release{}, model.Conflict("nothing of %s is healthy", at).WithHint("see why: pandabox status -a %s -e %s", at.App, at.Env)
	}
	r, err := tx.Release(src.w.Good.ReleaseID)
	if err == nil && p.Release != 0 && p.Release != r.Number {
		err = model.Conflict("%s serves v%d now, not v%d", at, r.Number, p.Release).WithHint("look at the plan again: pandabox promote %s %s", p.From, ref.env())
	}
	return src, r, err
}

// promote makes the release and its deploy and returns the deploy's id.
func (c *Control) promote(tx *store.Tx, actor model.Actor, o model.Org, ref Ref, p promotion) (string, error) {
	src, r, err := c.promotable(tx, actor, ref, p)
	if err != nil {
		return "", err
	}
	if r.Function != nil && r.Function.On != "" {
		if _, err := c.projectOn(tx, o, ref, *r.Function, ""); err != nil {
			return "", err
		}
	}
	pl, err := c.ensure(tx, actor, o, ref, "", src.app.Kind)
	if err != nil {
		return "", err
	}
	if r.Function != nil {
		if err := checkRoutes(tx, pl, *r.Function); err != nil {
			return "", err
		}
	}
	var now model.Release
	if !pl.w.Want.IsZero() {
		if now, err = tx.Release(pl.w.Want.ReleaseID); err != nil {
			return "", err
		}
	}
	next := sameCode(r)
	next.Jobs = promotedJobs(src.env, pl.env, r, now)
	if err := jobNames(tx, pl, next.Jobs); err != nil {
		return "", err
	}
	next.Description = fmt.Sprintf("Promote v%d of %s", r.Number, p.From)
	made, err := c.newRelease(tx, actor, &pl, next)
	if err != nil {
		return "", err
	}
	d, err := c.moveTo(tx, actor, &pl, model.DeployPromote, made.ID, p.Message)
	if err != nil {
		return "", err
	}
	return d.ID, c.record(tx, actor, o.ID, "deploy.promote", pl.ref().String(), "v"+strconv.Itoa(made.Number)+" of v"+strconv.Itoa(r.Number)+" in "+p.From)
}

// promotedJobs returns the jobs of what is promoted in the place of now: a preview runs none, and that it has none ends
// none elsewhere.
func promotedJobs(from, to model.Environment, r, now model.Release) []model.JobSpec {
	switch {
	case to.Kind == model.EnvPreview:
		return nil
	case from.Kind == model.EnvPreview:
		return now.Jobs
	}
	return r.Jobs
}

// digestOf returns the digest of what a release runs.
func digestOf(r model.Release) string {
	switch {
	case r.Function != nil:
		return r.Function.Digest
	case r.Static != nil:
		return r.Static.Digest
	}
	return r.Image.Digest
}

// releaseChanges says what besides the code differs from one release to another.
func releaseChanges(from, to model.Release) []string {
	var out []string
	named := func(what string, a, b map[string]any) {
		for _, name := range slices.Sorted(maps.Keys(b)) {
			if old, had := a[name]; !had {
				out = append(out, what+" "+name+" is new")
			} else if !reflect.DeepEqual(old, b[name]) {
				out = append(out, what+" "+name+" changes")
			}
		}
		for _, name := range slices.Sorted(maps.Keys(a)) {
			if _, has := b[name]; !has {
				out = append(out, what+" "+name+" goes")
			}
		}
	}
	if from.ID == "" {
		return nil
	}
	processes, jobs, volumes := [2]map[string]any{{}, {}}, [2]map[string]any{{}, {}}, [2]map[string]any{{}, {}}
	for i, r := range []model.Release{from, to} {
		for _, p := range r.Processes {
			processes[i][p.Name] = p
		}
		for _, j := range r.Jobs {
			jobs[i][j.Name] = j
		}
		for _, v := range r.Volumes {
			volumes[i][v.Volume] = v
		}
	}
	named("process", processes[0], processes[1])
	named("job", jobs[0], jobs[1])
	named("volume", volumes[0], volumes[1])
	return out
}

// missingIn returns the names of variables that one workload has and another has not.
func missingIn(tx *store.Tx, from, to model.Workload) ([]string, error) {
	have, err := tx.Config(from.ID, from.ConfigVersion)
	if err != nil {
		return nil, err
	}
	var there map[string]model.Variable
	if to.ID != "" {
		cfg, err := tx.Config(to.ID, to.ConfigVersion)
		if err != nil {
			return nil, err
		}
		there = cfg.Variables
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(have.Variables)) {
		if _, ok := there[name]; !ok && !strings.HasPrefix(name, "PANDABOX_") {
			out = append(out, name)
		}
	}
	return out, nil
}
