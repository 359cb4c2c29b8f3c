package control

import (
	"context"
	"errors"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// checkCode refuses what no app of the deploy's kind could run: one image, one build or one function.
func (n NewDeploy) checkCode() error {
	switch {
	case n.Kind == model.KindFunction:
		if n.Build != nil || n.Static != nil {
			return model.Invalid("a function is not built on the box").WithHint("pandabox fn deploy in the function's folder bundles and uploads it")
		}
		return n.checkFunction()
	case n.Build == nil && (n.Static != nil || n.Kind == model.KindStatic):
		return model.Invalid("no source of the site is named").WithHint("pandabox deploy in the site's folder")
	case n.Build == nil:
		return checkImage(n.Image)
	case n.Image != (model.Image{}):
		return model.Invalid("both an image and a source are named").WithHint("choose one")
	}
	if err := n.checkStatic(); err != nil {
		return err
	}
	return n.Build.Validate()
}

// planned finds out how the deploy's source is built, and refuses it where nobody knows. A source that makes a site makes
// the app one of the kind static.
func (c *Control) planned(ctx context.Context, ref Ref, n NewDeploy) (NewDeploy, error) {
	if c.cfg.Sources == nil {
		return n, missing("builder")
	}
	p, err := c.cfg.Sources.Plan(ctx, ref.Org, *n.Build, ref.App, n.Kind)
	if err != nil {
		return n, err
	}
	n.plan = p.Name
	if !p.Static() {
		n.Static = nil
		return n, nil
	}
	if n.Kind != "" && n.Kind != model.KindStatic {
		return n, model.Invalid("the source is a static site (%s), not an app of the kind %s", p.Name, n.Kind).
			WithHint(`write kind = "static" into pandabox.toml, or add a Dockerfile`)
	}
	n.Kind = model.KindStatic
	if n.Static == nil {
		n.Static = &model.Static{}
	}
	site := *n.Static
	site.Digest, site.Files, site.Bytes = "", 0, 0
	n.Static = &site
	return n, n.checkStatic()
}

// openBuild makes the Build of a deploy whose release is not built yet. One of the same release that is under way goes
// on for this deploy; any other of the workload is over.
func (c *Control) openBuild(tx *store.Tx, d model.Deploy, plan string) error {
	r, err := tx.Release(d.Target.ReleaseID)
	if err != nil {
		return err
	}
	b, err := tx.OpenBuild(r.ID)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := tx.CancelBuilds(d.WorkloadID, b.ID); err != nil || r.Built() {
		return err
	}
	if b.ID == "" {
		b = c.newBuild(r, d)
		b.Plan = plan
	}
	b.DeployID = d.ID
	return tx.PutBuild(b)
}

func (c *Control) newBuild(r model.Release, d model.Deploy) model.Build {
	return model.Build{
		ID: c.newID("build"), OrgID: d.OrgID, WorkloadID: r.WorkloadID, ReleaseID: r.ID, Release: r.Number, DeployID: d.ID,
		State: model.BuildQueued, CreatedAt: c.now(),
	}
}
