package control

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// endWait bounds writing down how a build ended, when the build itself was called off.
const endWait = 10 * time.Second

// Build is what the reconciler asks of a Builder: it builds a release's image or site of its source, with a record of how.
func (b *Builds) Build(ctx context.Context, releaseID string, progress func(percent int, detail string)) (model.Built, error) {
	if b.c.cfg.Builder == nil {
		return model.Built{}, missing("builder")
	}
	var one model.Build
	var req BuildRequest
	err := b.c.cfg.Store.Update(ctx, func(tx *store.Tx) (err error) {
		one, req, err = b.begin(tx, releaseID)
		return err
	})
	if err != nil {
		return model.Built{}, err
	}
	req.Progress = progress
	res, err := b.c.cfg.Builder.Build(ctx, req)
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWait)
	defer cancel()
	return model.Built{Image: res.Image, Static: res.Static, Detail: builtDetail(one, res)}, errors.Join(err, b.end(end, one, res, err))
}

// begin writes down that a release's build runs and returns what to build.
func (b *Builds) begin(tx *store.Tx, releaseID string) (one model.Build, req BuildRequest, err error) {
	r, err := tx.Release(releaseID)
	if err != nil {
		return one, req, err
	}
	d, err := tx.Desired(r.WorkloadID)
	if err != nil {
		return one, req, err
	}
	if r.Build == nil {
		return one, req, fmt.Errorf("release %s is not built of source", releaseID)
	}
	one, err = tx.OpenBuild(releaseID)
	if errors.Is(err, store.ErrNotFound) { // built once, and gone from the box since
		one, err = b.c.newBuild(r, model.Deploy{ID: d.Workload.DeployID, OrgID: d.Workload.OrgID}), nil
	}
	if err != nil {
		return one, req, err
	}
	req = BuildRequest{ID: one.ID, Org: one.OrgID, Caches: caches(one.OrgID, d.Env), App: d.App.Name, Kind: d.App.Kind, Spec: *r.Build, Static: r.Static}
	if req.Secrets, req.Mask, err = b.c.buildSecrets(tx, r); err != nil {
		return one, req, err
	}
	one.State, one.BeganAt = model.BuildRunning, b.c.now()
	return one, req, tx.PutBuild(one)
}

// caches returns whose package caches the builds of an environment use: an org's, and apart from them those of its
// previews, whose code nobody may have read yet, and those of forks, as other previews may build with secrets.
func caches(orgID string, e model.Environment) string {
	switch {
	case e.Preview == nil:
		return orgID
	case e.Preview.Fork:
		return "forks-" + orgID
	}
	return "previews-" + orgID
}

// buildSecrets opens the variables that a build is given, and the secret ones that its log must not show.
func (c *Control) buildSecrets(tx *store.Tx, r model.Release) (given map[string][]byte, mask []string, err error) {
	cfg, err := tx.Config(r.WorkloadID, r.ConfigVersion)
	if err != nil {
		return nil, nil, err
	}
	given = map[string][]byte{}
	for _, name := range r.Build.Secrets {
		v, ok := cfg.Variables[name]
		if !ok {
			return nil, nil, model.Invalid("the build needs the secret %s, which is not set", name).WithHint("pandabox env set --secret %s, then deploy again", name)
		}
		value, err := c.open(r.WorkloadID, name, v)
		if err != nil {
			return nil, nil, err
		}
		given[name] = []byte(value)
	}
	for name, v := range cfg.Variables {
		if !v.Secret {
			continue
		}
		value, err := c.open(r.WorkloadID, name, v)
		if err != nil {
			return nil, nil, err
		}
		mask = append(mask, value)
	}
	return given, mask, nil
}

// end writes down how a build ended. One that ended by no fault of its source stays queued: it is begun again as long as
// its deploy is not over.
func (b *Builds) end(ctx context.Context, one model.Build, res BuildResult, failure error) error {
	return b.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		// A newer deploy of the same release may have taken it over meanwhile.
		now, err := tx.Build(one.ID)
		if errors.Is(err, store.ErrNotFound) || (err == nil && now.State.Final()) {
			return nil
		} else if err != nil {
			return err
		}
		var fault *model.Error
		switch {
		case failure == nil:
			now.State, now.Steps, now.Cached, now.Digest = model.BuildSucceeded, res.Steps, res.Cached, res.Image.Digest
			if res.Static != nil {
				now.Digest = res.Static.Digest
			}
		case errors.As(failure, &fault) && fault.Kind != model.KindCanceled && fault.Kind != model.KindUnavailable:
			now.State, now.Error = model.BuildFailed, fault
		default:
			now.State = model.BuildQueued
			return tx.PutBuild(now)
		}
		now.FinishedAt = b.c.now()
		return tx.PutBuild(now)
	})
}

// builtDetail returns "Go 1.26, 3 of 9 cached".
func builtDetail(b model.Build, res BuildResult) string {
	switch {
	case res.Static != nil && res.Steps == 0:
		return b.Plan // how many files it has is said when it is served
	case res.Steps > 0:
		return fmt.Sprintf("%s, %d of %d cached", b.Plan, res.Cached, res.Steps)
	}
	return b.Plan
}
