package store

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/model"
)

// view is the part of one commit that the controller works from, decoded. It never changes, and shares with the views
// before it what a commit left alone.
type view struct {
	commit    int                      // the bbolt transaction's id
	workloads []*model.DesiredWorkload // sorted by the workload's id
}

// Desired returns all intent and status of the last commit, workloads sorted by id. What its pointers, maps and slices
// reach is shared with other callers: it must not be changed.
func (s *Store) Desired(ctx context.Context) (model.Desired, error) {
	if err := ctx.Err(); err != nil {
		return model.Desired{}, err
	}
	v := s.view.Load()
	out := make([]model.DesiredWorkload, len(v.workloads))
	for i, d := range v.workloads {
		out[i] = *d
	}
	return model.Desired{Workloads: out}, nil
}

// Keep returns what must not be reclaimed: the images of what is wanted, good or serving and of each workload's newest
// KeepImages releases, the bundles and sites of all releases, the sources of what is wanted and good, the logs of all
// builds, and every environment.
func (s *Store) Keep(ctx context.Context) (k model.Keep, err error) {
	err = s.View(ctx, func(tx *Tx) error {
		all, err := tx.allDesired()
		if err != nil {
			return err
		}
		images, bundles, envs := map[string]bool{}, map[string]bool{}, map[string]bool{}
		sites, sources := map[string]bool{}, map[string]bool{}
		for _, d := range all {
			envs[d.Env.ID] = true
			keep := KeepImages
			if d.App.Kind == model.KindFunction || d.App.Kind == model.KindStatic {
				keep = 0 // all: they are small, and cannot be fetched again
			}
			rs, _, err := tx.Releases(d.Workload.ID, "", keep)
			if err != nil {
				return err
			}
			for _, r := range []*model.Release{d.Want, d.Good} {
				if r != nil {
					rs = append(rs, *r)
					if r.Build != nil {
						sources[r.Build.Source] = true
					}
				}
			}
			if id := d.Status.Serving.ReleaseID; id != "" {
				r, err := tx.Release(id)
				if _, err = zeroIfMissing(r, r, err); err != nil {
					return err
				}
				rs = append(rs, r)
			}
			for _, r := range rs {
				images[r.Image.Digest] = true
				if r.Function != nil {
					bundles[r.Function.Digest] = true
				}
				if r.Static != nil && r.Static.Digest != "" {
					sites[r.Static.Digest] = true
				}
			}
		}
		err = tx.awaited(func(image, bundle, site, source string) {
			images[image], bundles[bundle], sites[site], sources[source] = true, true, true, true
		})
		if err != nil {
			return err
		}
		for _, set := range []map[string]bool{images, bundles, sites, sources} {
			delete(set, "")
		}
		k.Images, k.Bundles, k.Environments = sorted(images), sorted(bundles), sorted(envs)
		k.Sites, k.Sources = sorted(sites), sorted(sources)
		k.Builds, err = tx.buildIDs()
		return err
	})
	return k, err
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

// Desired returns one workload with all that belongs to it; see Store.Desired.
func (tx *Tx) Desired(workloadID string) (model.DesiredWorkload, error) {
	if v := tx.sameView(); v != nil {
		if i, ok := v.find(workloadID); ok {
			return *v.workloads[i], nil
		}
		return model.DesiredWorkload{}, fmt.Errorf("workloads %q: %w", workloadID, ErrNotFound)
	}
	d, err := tx.decode(workloadID)
	if err != nil {
		return model.DesiredWorkload{}, err
	}
	return *d, nil
}

// DesiredIn returns the workloads of an org, by app and environment; see Store.Desired.
func (tx *Tx) DesiredIn(orgID string) ([]*model.DesiredWorkload, error) {
	all, err := tx.allDesired()
	if err != nil {
		return nil, err
	}
	out := make([]*model.DesiredWorkload, 0, len(all))
	for _, d := range all {
		if d.Workload.OrgID == orgID {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b *model.DesiredWorkload) int {
		if c := strings.Compare(a.App.Name, b.App.Name); c != 0 {
			return c
		}
		return strings.Compare(a.Env.Name, b.Env.Name)
	})
	return out, nil
}

// allDesired returns every workload, sorted by id.
func (tx *Tx) allDesired() ([]*model.DesiredWorkload, error) {
	if v := tx.sameView(); v != nil {
		return v.workloads, nil
	}
	v, err := loadView(tx)
	if err != nil {
		return nil, err
	}
	return v.workloads, nil
}

// sameView returns the decoded view of the commit that tx reads, nil in a writing transaction and in the moment
// between a commit and its view.
func (tx *Tx) sameView() *view {
	if v := tx.s.view.Load(); v != nil && !tx.b.Writable() && v.commit == tx.b.ID() {
		return v
	}
	return nil
}

// loadView decodes everything.
func loadView(tx *Tx) (*view, error) {
	v := &view{commit: tx.b.ID()}
	for k := range keys(tx.bucket("workloads"), scan{}) {
		d, err := tx.decode(string(k))
		if err != nil {
			return nil, err
		}
		v.workloads = append(v.workloads, d)
	}
	return v, nil
}

// nextView returns the view as it will be once tx is committed.
func (tx *Tx) nextView() (*view, error) {
	last := tx.s.view.Load()
	next := &view{commit: tx.b.ID(), workloads: last.workloads}
	if len(tx.dirty) == 0 {
		return next, nil
	}
	next.workloads = slices.Clone(last.workloads)
	for id := range tx.stale() {
		i, known := next.find(id)
		if tx.bucket("workloads").Get([]byte(id)) == nil {
			if known {
				next.workloads = slices.Delete(next.workloads, i, i+1)
			}
			continue
		}
		d, err := tx.decode(id)
		if err != nil {
			return nil, err
		}
		if known {
			next.workloads[i] = d
		} else {
			next.workloads = slices.Insert(next.workloads, i, d)
		}
	}
	return next, nil
}

func (v *view) find(id string) (int, bool) {
	return slices.BinarySearchFunc(v.workloads, id, func(d *model.DesiredWorkload, id string) int {
		return strings.Compare(d.Workload.ID, id)
	})
}

// decode reads a workload with all that belongs to it.
func (tx *Tx) decode(id string) (*model.DesiredWorkload, error) {
	w, err := tx.Workload(id)
	if err != nil {
		return nil, err
	}
	d := &model.DesiredWorkload{Workload: w}
	if d.App, err = tx.App(w.AppID); err != nil {
		return nil, err
	}
	if d.Env, err = tx.Environment(w.EnvID); err != nil {
		return nil, err
	}
	if d.Want, err = optional(tx, releases(), w.Want.ReleaseID); err != nil {
		return nil, err
	}
	if d.Good = d.Want; w.Good.ReleaseID != w.Want.ReleaseID {
		if d.Good, err = optional(tx, releases(), w.Good.ReleaseID); err != nil {
			return nil, err
		}
	}
	if d.Deploy, err = optional(tx, deploys(), w.DeployID); err != nil {
		return nil, err
	}
	if d.Domains, err = tx.Domains(id); err != nil {
		return nil, err
	}
	if d.On, err = tx.domainsOn(d); err != nil {
		return nil, err
	}
	d.Status, err = tx.Status(id)
	return d, err
}

// optional returns a record, nil for the key "".
func optional[T any](tx *Tx, t table[T], key string) (*T, error) {
	if key == "" {
		return nil, nil
	}
	v, err := t.get(tx, key)
	if err != nil {
		return nil, err
	}
	return &v, nil
}
