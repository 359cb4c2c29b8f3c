package store

import (
	"errors"
	"maps"
	"slices"

	"github.com/pandabox/pandabox/pkg/model"
)

// domainsOn returns the domains of the apps that d's function is on, by app; nil for none. An app that is not there,
// or on its way out, has none.
func (tx *Tx) domainsOn(d *model.DesiredWorkload) (map[string][]model.Domain, error) {
	var out map[string][]model.Domain
	for _, name := range isOn(d) {
		a, err := tx.AppNamed(d.App.OrgID, name)
		if err == nil {
			var w model.Workload
			if w, err = tx.WorkloadAt(a.ID, d.Env.ID); err == nil && !w.Deleting {
				if out == nil {
					out = map[string][]model.Domain{}
				}
				out[name], err = tx.Domains(w.ID)
			}
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, err
		}
	}
	return out, nil
}

// isOn returns the apps that a workload's function is on.
func isOn(d *model.DesiredWorkload) []string {
	var out []string
	for _, r := range []*model.Release{d.Want, d.Good} {
		if r != nil && r.Function != nil && r.Function.On != "" && !slices.Contains(out, r.Function.On) {
			out = append(out, r.Function.On)
		}
	}
	return out
}

// stale returns the workloads whose part of the view has to be read again: those that were touched, and the functions
// on one of them.
func (tx *Tx) stale() map[string]struct{} {
	last, out := tx.s.view.Load(), tx.dirty
	grown := false
	for id := range tx.moved {
		w, err := tx.Workload(id)
		i, known := last.find(id)
		if known && err == nil && w.Deleting == last.workloads[i].Workload.Deleting && tx.sameDomains(last.workloads[i]) {
			continue
		}
		envID, appID, name := w.EnvID, w.AppID, ""
		if known {
			envID, name = last.workloads[i].Env.ID, last.workloads[i].App.Name
		} else if a, err := tx.App(appID); err == nil {
			name = a.Name
		}
		for _, d := range last.workloads {
			if d.Env.ID == envID && slices.Contains(isOn(d), name) {
				if !grown {
					out, grown = maps.Clone(tx.dirty), true
				}
				out[d.Workload.ID] = struct{}{}
			}
		}
	}
	return out
}

// sameDomains tells whether a workload has the domains it had.
func (tx *Tx) sameDomains(d *model.DesiredWorkload) bool {
	now, err := tx.Domains(d.Workload.ID)
	return err == nil && slices.Equal(now, d.Domains)
}
