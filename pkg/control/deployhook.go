package control

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// DeployHooks are addresses that deploy when they are asked.
type DeployHooks struct{ c *Control }

// HookPrefix begins the secret of a deploy hook.
const HookPrefix = "hook_"

// MaxDeployHooks bounds the deploy hooks of one org.
const MaxDeployHooks = 200

// MadeHook is a deploy hook that was just made.
type MadeHook struct {
	model.DeployHook
	Address string `json:"address"` // told this once
}

// Create makes a deploy hook of a workload that is there.
func (d *DeployHooks) Create(ctx context.Context, actor model.Actor, ref Ref, name string) (out MadeHook, err error) {
	name = strings.TrimSpace(name)
	if name == "" || utf8.RuneCountInString(name) > MaxTokenName || name != shown(name) {
		return out, model.Invalid("%q is no name for a deploy hook", shown(name)).WithHint("say what it is for: pandabox hooks add ci")
	}
	err = d.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, err := d.c.find(tx, actor, identity.HookManage, ref)
		if err != nil {
			return err
		}
		have, err := tx.DeployHooks(pl.org.ID)
		switch {
		case err != nil:
			return err
		case len(have) >= MaxDeployHooks:
			return model.Conflict("there are %d deploy hooks", len(have)).WithHint("take one away: pandabox hooks rm")
		case slices.ContainsFunc(have, func(h model.DeployHook) bool { return h.App == pl.app.Name && h.Env == pl.env.Name && h.Name == name }):
			return model.Conflict("%s has a deploy hook %s already", pl.ref(), name).WithHint("choose another name, or take that away: pandabox hooks rm %s", name)
		}
		secret, hash := identity.NewSecret(HookPrefix)
		out.DeployHook = model.DeployHook{
			ID: d.c.newID("hook"), OrgID: pl.org.ID, App: pl.app.Name, Env: pl.env.Name, Name: name, Hash: hash, CreatedBy: nameOf(actor), CreatedAt: d.c.now(),
		}
		if err := tx.PutDeployHook(out.DeployHook); err != nil {
			return err
		}
		out.Hash, out.Address = nil, d.c.url.String()+"/deploy-hooks/"+secret
		return d.c.record(tx, actor, pl.org.ID, "hook.create", pl.ref().String(), name)
	})
	return out, err
}

// List returns the org's deploy hooks, or those of one app.
func (d *DeployHooks) List(ctx context.Context, actor model.Actor, org, app string) (out []model.DeployHook, err error) {
	err = d.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := d.c.org(tx, actor, identity.AppRead, org)
		if err != nil {
			return err
		}
		all, err := tx.DeployHooks(o.ID)
		for _, h := range all {
			h.Hash = nil
			if app == "" || h.App == app {
				out = append(out, h)
			}
		}
		return err
	})
	return out, err
}

// Remove ends a deploy hook, by its id or, of the app ref names, by its name.
func (d *DeployHooks) Remove(ctx context.Context, actor model.Actor, ref Ref, id string) error {
	return d.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, err := d.c.org(tx, actor, identity.HookManage, ref.Org)
		if err != nil {
			return err
		}
		all, err := tx.DeployHooks(o.ID)
		if err != nil {
			return err
		}
		for _, h := range all {
			if h.ID == id || h.App == ref.App && h.Env == ref.env() && h.Name == id {
				if err := tx.DeleteDeployHook(h.ID); err != nil {
					return err
				}
				return d.c.record(tx, actor, o.ID, "hook.remove", Ref{App: h.App, Env: h.Env}.String(), h.Name)
			}
		}
		return model.NotFound("there is no deploy hook %q of %s", id, ref).WithHint("see which there are: pandabox hooks")
	})
}

// HookCall is what a deploy hook is asked.
type HookCall struct {
	Image   string // to deploy; "" fetches the app's repository or, without one, the image's reference again
	Message string // for the record
}

// Fired is what a deploy hook did.
type Fired struct {
	Deploy   Deploy // zero where a repository is fetched first
	Delivery string // id, where one is
	App, Env string
	Actor    model.Actor
}

// Known refuses a secret that is none of a deploy hook, which is KindUnauthenticated. It does nothing else.
func (d *DeployHooks) Known(ctx context.Context, secret string) error {
	return d.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		_, err := hookOf(tx, secret)
		return err
	})
}

func hookOf(tx *store.Tx, secret string) (model.DeployHook, error) {
	h, err := tx.DeployHookByHash(identity.HashSecret(secret))
	if errors.Is(err, store.ErrNotFound) || !strings.HasPrefix(secret, HookPrefix) {
		return h, model.Errorf(model.KindUnauthenticated, "there is no such deploy hook").WithHint("make one: pandabox hooks add NAME")
	}
	return h, err
}

// Fire does what a deploy hook is for. A secret that is none is KindUnauthenticated.
func (d *DeployHooks) Fire(ctx context.Context, secret string, call HookCall) (out Fired, err error) {
	var org model.Org
	var n NewDeploy
	var repository *model.Repository
	err = d.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		h, err := hookOf(tx, secret)
		if err != nil {
			return err
		}
		if org, err = tx.Org(h.OrgID); err != nil {
			return err
		}
		out.App, out.Env = h.App, h.Env
		out.Actor = model.Actor{ID: h.ID, Name: "deploy hook " + h.Name, Roles: map[string]model.RoleName{h.OrgID: model.RoleMember}}
		h.LastUsed = d.c.now()
		if err := tx.PutDeployHook(h); err != nil {
			return err
		}
		pl, err := d.c.find(tx, out.Actor, identity.DeployCreate, Ref{Org: org.Name, App: h.App, Env: h.Env})
		if err != nil {
			return err
		}
		n, repository, err = d.c.hooked(tx, pl, call)
		return err
	})
	if err != nil {
		return out, err
	}
	if repository == nil {
		out.Deploy, err = d.c.Deploys.Create(ctx, out.Actor, Ref{Org: org.Name, App: out.App, Env: out.Env}, n)
		return out, err
	}
	arrival, err := d.arrival(ctx, org.Name, out)
	if err != nil {
		return out, err
	}
	arrival.Message = call.Message
	out.Delivery = repository.ID + "/" + d.c.newID("call")
	_, err = d.c.Repositories.Accept(ctx, model.Delivery{ID: out.Delivery, RepositoryID: repository.ID, Event: "deploy hook", State: model.DeliveryPending, Arrival: &arrival})
	return out, err
}

// arrival says what of the repository a deploy hook without an image means: the branch its environment tracks, or in
// production main or master, which has no Ref.
func (d *DeployHooks) arrival(ctx context.Context, org string, f Fired) (model.Arrival, error) {
	all, err := d.c.Trackings.List(ctx, f.Actor, org, f.App)
	if err != nil {
		return model.Arrival{}, err
	}
	branch := ""
	for _, t := range all {
		if t.Env == f.Env {
			branch = t.Branch
		}
	}
	if branch == "" && f.Env != EnvProduction {
		return model.Arrival{}, model.Conflict("%s in %s tracks no branch", f.App, f.Env).WithHint("pandabox track BRANCH -a %s -e %s", f.App, f.Env)
	}
	if branch == "" {
		return model.Arrival{All: true, Env: f.Env}, nil
	}
	return model.Arrival{Branch: branch, Ref: "refs/heads/" + branch, All: true, Env: f.Env}, nil
}

// hooked returns what a call deploys: what runs now with another image, or the app's repository.
func (c *Control) hooked(tx *store.Tx, pl place, call HookCall) (n NewDeploy, repository *model.Repository, err error) {
	n.Message = call.Message
	if call.Image == "" {
		rs, err := tx.RepositoriesOf(pl.app.ID)
		if err != nil {
			return n, nil, err
		}
		if len(rs) > 0 {
			return n, &rs[0], nil
		}
	}
	n.Image.Ref = call.Image
	if pl.w.Want.IsZero() {
		if call.Image == "" {
			return n, nil, nothingDeployed(pl.ref())
		}
		return n, nil, nil
	}
	r, err := tx.Release(pl.w.Want.ReleaseID)
	if err != nil {
		return n, nil, err
	}
	if call.Image == "" {
		n.Image.Ref = r.Image.Ref
	}
	if n.Image.Ref == "" || r.Hosted() {
		return n, nil, model.Conflict("%s runs what was uploaded", pl.ref()).
			WithHint(`name an image: {"image": "registry.example.com/shop:2"}; or connect its repository: pandabox repos connect URL`)
	}
	n.Processes, n.Volumes = r.Processes, r.Volumes
	return n, nil, nil
}
