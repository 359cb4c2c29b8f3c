package control

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// usageWait is how long Workloads.Status waits for the runtime; without an answer the rest is shown.
const usageWait = 3 * time.Second

// Workloads are apps in environments: intent and what is seen.
type Workloads struct{ c *Control }

// Workload is all that is known of an app in one environment. What its pointers, maps and slices reach is shared: it
// must not be changed.
type Workload struct {
	model.DesiredWorkload
	Project     string                 `json:"project"`
	DeployView  *Deploy                `json:"deployView,omitempty"` // Deploy with the names and numbers people use
	WantNumber  int                    `json:"wantNumber"`           // of the release that should serve; 0 for none
	ServeNumber int                    `json:"serveNumber"`          // of the release that requests reach; 0 for none
	URL         string                 `json:"url,omitempty"`        // where it answers; "" without domains
	Usage       map[string]model.Usage `json:"usage,omitempty"`      // by container; filled in by Status only, where the runtime answered
}

// Status returns one workload with its replicas and what they use.
func (w *Workloads) Status(ctx context.Context, actor model.Actor, ref Ref) (out Workload, err error) {
	err = w.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		pl, err := w.c.find(tx, actor, identity.AppRead, ref)
		if err != nil {
			return err
		}
		d, err := tx.Desired(pl.w.ID)
		if err != nil {
			return err
		}
		out, err = w.c.workloadView(tx, d)
		return err
	})
	if err != nil || w.c.cfg.Runner == nil || len(out.Status.Replicas) == 0 {
		return out, err
	}
	names := make([]string, len(out.Status.Replicas))
	for i, r := range out.Status.Replicas {
		names[i] = r.Name
	}
	ctx, cancel := context.WithTimeout(ctx, usageWait)
	defer cancel()
	if use, err := w.c.cfg.Runner.Usage(ctx, names); err == nil {
		out.Usage = use
	}
	return out, nil
}

// List returns the org's workloads by app and environment.
func (w *Workloads) List(ctx context.Context, actor model.Actor, org string, p Page) (out List[Workload], err error) {
	cur, err := p.check()
	if err != nil {
		return out, err
	}
	err = w.c.cfg.Store.View(ctx, func(tx *store.Tx) error {
		o, err := w.c.org(tx, actor, identity.AppRead, org)
		if err != nil {
			return err
		}
		all, err := tx.DesiredIn(o.ID)
		if err != nil {
			return err
		}
		next := ""
		begin, found := slices.BinarySearchFunc(all, cur.after, func(d *model.DesiredWorkload, after string) int {
			return strings.Compare(placeKey(d), after)
		})
		if found {
			begin++
		}
		all = all[begin:]
		if len(all) > cur.limit {
			all = all[:cur.limit]
			next = placeKey(all[cur.limit-1])
		}
		views := make([]Workload, len(all))
		for i, d := range all {
			if views[i], err = w.c.workloadView(tx, *d); err != nil {
				return err
			}
		}
		out = page(views, next)
		return nil
	})
	return out, err
}

// placeKey sorts as store.Tx.DesiredIn does: no name holds a character below "-".
func placeKey(d *model.DesiredWorkload) string { return d.App.Name + " " + d.Env.Name }

func (c *Control) workloadView(tx *store.Tx, d model.DesiredWorkload) (Workload, error) {
	d.Domains = byDefault(d.Domains)
	out := Workload{DesiredWorkload: d, URL: c.urlOf(d.Domains)}
	p, err := tx.Project(d.Workload.ProjectID)
	if err != nil {
		return out, err
	}
	out.Project = p.Name
	if d.Want != nil {
		out.WantNumber = d.Want.Number
	}
	if out.ServeNumber, err = releaseNumber(tx, d, d.Status.Serving.ReleaseID); err != nil || d.Deploy == nil {
		return out, err
	}
	view := Deploy{Deploy: *d.Deploy, App: d.App.Name, Env: d.Env.Name, URL: out.URL}
	if view.Release, err = releaseNumber(tx, d, d.Deploy.Target.ReleaseID); err != nil {
		return out, err
	}
	view.FromRelease, err = releaseNumber(tx, d, d.Deploy.From.ReleaseID)
	out.DeployView = &view
	return out, err
}
