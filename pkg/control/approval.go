package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Approvals are deploys to protected environments that wait for somebody who may approve them.
type Approvals struct{ c *Control }

const approvalPrefix = "approval"

// request is what an approval keeps, sealed: it holds the variables of the app's own file.
type request struct {
	New     NewDeploy   `json:"new"`
	Promote *promotion  `json:"promote,omitempty"` // in place of New
	Plan    string      `json:"plan"`
	Actor   model.Actor `json:"actor"` // who asked
}

// promotion is a promote that waits.
type promotion struct {
	From    string `json:"from"`
	Release int    `json:"release"`
	Message string `json:"message"`
}

// List returns the org's approvals, newest first.
func (a *Approvals) List(ctx context.Context, actor model.Actor, org string, p Page) (out List[model.Approval], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = a.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := a.c.org(tx, actor, identity.AppRead, org)
		if err != nil {
			return err
		}
		found, next, err := tx.Approvals(o.ID, cur.after, cur.limit)
		for i := range found {
			found[i] = a.c.shownApproval(found[i])
		}
		out = page(found, next)
		return err
	})
	return out, err
}

// Get returns one of the org's approvals.
func (a *Approvals) Get(ctx context.Context, actor model.Actor, org, id string) (out model.Approval, err error) {
	err = a.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := a.c.org(tx, actor, identity.AppRead, org)
		if err != nil {
			return err
		}
		out, err = a.get(tx, o, id)
		return err
	})
	return a.c.shownApproval(out), err
}

func (a *Approvals) get(tx *store.Tx, o model.Org, id string) (model.Approval, error) {
	one, err := tx.Approval(id)
	if errors.Is(err, store.ErrNotFound) || (err == nil && one.OrgID != o.ID) {
		return one, model.NotFound("there is no approval %q", id).WithHint("see which there are: pandabox approvals")
	}
	return one, err
}

// shownApproval is an approval as it is now, without what is sealed.
func (c *Control) shownApproval(a model.Approval) model.Approval {
	a = a.At(c.now())
	a.Request = nil
	return a
}

// Approve creates the deploy that waits, once.
func (a *Approvals) Approve(ctx context.Context, actor model.Actor, org, id string) (out Deploy, err error) {
	err = a.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, one, err := a.waiting(tx, actor, org, id)
		if err != nil {
			return err
		}
		plain, err := a.c.keys.Open(one.Request, approvalPrefix, one.ID)
		if err != nil {
			return fmt.Errorf("opening what waits for approval: %w", err)
		}
		var req request
		if err := json.Unmarshal(plain, &req); err != nil {
			return fmt.Errorf("reading what waits for approval: %w", err)
		}
		req.New.plan = req.Plan
		one.State, one.EndedBy, one.EndedAt = model.ApprovalApproved, nameOf(actor), a.c.now()
		if err := tx.PutApproval(one); err != nil { // before the deploy, which supersedes what waits
			return err
		}
		ref := Ref{Org: o.Name, App: one.App, Env: one.Env}
		if req.Promote != nil {
			one.DeployID, err = a.c.promote(tx, req.Actor, o, ref, *req.Promote)
		} else {
			one.DeployID, err = a.c.create(tx, req.Actor, o, ref, req.New)
		}
		if err != nil {
			return err
		}
		if err := tx.PutApproval(one); err != nil {
			return err
		}
		if err := a.c.record(tx, actor, o.ID, "approval.approve", ref.String(), one.What+", asked by "+one.AskedBy); err != nil {
			return err
		}
		out, err = a.c.deployByID(tx, one.DeployID)
		return err
	})
	return out, err
}

// Refuse ends an approval without a deploy.
func (a *Approvals) Refuse(ctx context.Context, actor model.Actor, org, id string) (out model.Approval, err error) {
	err = a.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		o, one, err := a.waiting(tx, actor, org, id)
		if err != nil {
			return err
		}
		one.State, one.EndedBy, one.EndedAt = model.ApprovalRefused, nameOf(actor), a.c.now()
		out = a.c.shownApproval(one)
		if err := tx.PutApproval(one); err != nil {
			return err
		}
		return a.c.record(tx, actor, o.ID, "approval.refuse", Ref{App: one.App, Env: one.Env}.String(), one.What+", asked by "+one.AskedBy)
	})
	return out, err
}

// waiting returns an approval that the actor may decide on.
func (a *Approvals) waiting(tx *store.Tx, actor model.Actor, org, id string) (model.Org, model.Approval, error) {
	o, err := a.c.org(tx, actor, identity.DeployApprove, org)
	if err != nil {
		return o, model.Approval{}, err
	}
	one, err := a.get(tx, o, id)
	if state := one.At(a.c.now()).State; err == nil && state != model.ApprovalWaiting {
		err = model.Conflict("the deploy does not wait any more: it is %s", state).WithHint("deploy again: pandabox deploy -a %s -e %s", one.App, one.Env)
	}
	return o, one, err
}

// held keeps a request to deploy to a protected environment by somebody who may not approve it, and returns the
// approval's id; "" where the deploy may be created. What waited for the same place is superseded either way.
func (c *Control) held(tx *store.Tx, actor model.Actor, o model.Org, ref Ref, project string, req request, what string) (string, error) {
	protected, err := c.protected(tx, o, ref, project, req.New.Function)
	if err != nil {
		return "", err
	}
	if err := c.supersedeWaiting(tx, o.ID, ref); err != nil {
		return "", err
	}
	if !protected || identity.Authorize(actor, identity.DeployApprove, o.ID) == nil {
		return "", nil
	}
	req.Actor, req.Plan = actor, req.New.plan
	plain, err := json.Marshal(req)
	if err != nil {
		return "", fmt.Errorf("keeping what waits for approval: %w", err)
	}
	a := model.Approval{
		ID: c.newID(approvalPrefix), OrgID: o.ID, App: ref.App, Env: ref.env(), What: what, State: model.ApprovalWaiting,
		AskedBy: nameOf(actor), CreatedAt: c.now(), ExpiresAt: c.now().Add(model.ApprovalPeriod),
	}
	if req.New.Build != nil {
		a.Source = req.New.Build.Source
	}
	if req.New.Function != nil {
		a.Bundle = req.New.Function.Digest
	}
	a.Image = req.New.Image.Digest
	if a.Request, err = c.keys.Seal(plain, approvalPrefix, a.ID); err != nil {
		return "", err
	}
	if err := tx.PutApproval(a); err != nil {
		return "", err
	}
	return a.ID, c.record(tx, actor, o.ID, "approval.ask", ref.String(), what)
}

// protected tells whether the environment a deploy is for is there and protected: that of the app, or that which a
// function comes into because it is on another app.
func (c *Control) protected(tx *store.Tx, o model.Org, ref Ref, project string, f *model.Function) (bool, error) {
	own, err := c.protectedAt(tx, o, ref, project)
	if err != nil || own || f == nil || f.On == "" {
		return own, err
	}
	return c.protectedAt(tx, o, Ref{App: f.On, Env: ref.Env}, "")
}

func (c *Control) protectedAt(tx *store.Tx, o model.Org, ref Ref, project string) (bool, error) {
	projectID := ""
	a, err := tx.AppNamed(o.ID, ref.App)
	if err == nil {
		projectID = a.ProjectID
	} else if errors.Is(err, store.ErrNotFound) {
		if project == "" {
			project = ref.App
		}
		var p model.Project
		if p, err = tx.ProjectNamed(o.ID, project); err == nil {
			projectID = p.ID
		}
	}
	if err == nil {
		var e model.Environment
		if e, err = tx.EnvironmentNamed(projectID, ref.env()); err == nil {
			return e.Protected, nil
		}
	}
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return false, err
}

// supersedeWaiting ends what waits for the same app and environment: a newer deploy was asked for.
func (c *Control) supersedeWaiting(tx *store.Tx, orgID string, ref Ref) error {
	all, _, err := tx.Approvals(orgID, "", 0)
	for _, old := range all {
		if old.App != ref.App || old.Env != ref.env() || old.At(c.now()).State != model.ApprovalWaiting {
			continue
		}
		old.State, old.EndedAt = model.ApprovalSuperseded, c.now()
		if err := tx.PutApproval(old); err != nil {
			return err
		}
	}
	return err
}

// approvalOr returns a deploy, or what stands for one that waits.
func (c *Control) approvalOr(tx *store.Tx, id string, ref Ref) (Deploy, error) {
	if strings.HasPrefix(id, approvalPrefix+"-") {
		return Deploy{App: ref.App, Env: ref.env(), Approval: id}, nil
	}
	return c.deployByID(tx, id)
}
