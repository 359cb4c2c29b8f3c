package control

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Scaling sets how many replicas run and what each may use.
type Scaling struct{ c *Control }

// Set changes the scale of the processes named; fields that are zero stay as they are. Replicas change at once; CPU,
// memory or pids need fresh replicas, so that a deploy begins (Workload.Deploy).
func (s *Scaling) Set(ctx context.Context, actor model.Actor, ref Ref, scale map[string]model.Scale) (out Workload, err error) {
	err = s.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, err := s.c.findToChange(tx, actor, identity.AppScale, ref)
		if err != nil {
			return err
		}
		if err := noContainer(pl.app, "scaled", "limits = { concurrency = 64 } in [function], then deploy"); err != nil {
			return err
		}
		if len(scale) == 0 {
			return model.Invalid("no process is named").WithHint("pandabox scale web=3")
		}
		if pl.w.Want.IsZero() {
			return nothingDeployed(ref)
		}
		r, err := tx.Release(pl.w.Want.ReleaseID)
		if err != nil {
			return err
		}
		ch, err := setScale(&pl.w, r, scale)
		if err != nil {
			return err
		}
		if ch.any() {
			if err := s.changed(tx, actor, &pl, r, ch, scale); err != nil {
				return err
			}
		}
		d, err := tx.Desired(pl.w.ID)
		if err != nil {
			return err
		}
		out, err = s.c.workloadView(tx, d)
		return err
	})
	return out, err
}

// changed writes a change of scale, with a deploy where replicas must be made afresh.
func (s *Scaling) changed(tx *store.Tx, actor model.Actor, pl *place, r model.Release, ch scaleChange, scale map[string]model.Scale) error {
	if ch.limits {
		if _, err := s.c.moveTo(tx, actor, pl, model.DeployScale, r.ID, ""); err != nil {
			return err
		}
	} else {
		if err := tx.PutWorkload(pl.w); err != nil {
			return err
		}
		if err := tx.Emit(model.Event{Kind: "app", OrgID: pl.org.ID, WorkloadID: pl.w.ID, State: "scaled", Detail: scaleText(scale)}); err != nil {
			return err
		}
	}
	return s.c.record(tx, actor, pl.org.ID, "app.scale", pl.ref().String(), scaleText(scale))
}

// scaleChange tells what a change of scale touches.
type scaleChange struct {
	replicas bool
	limits   bool // CPU, memory or pids of a process
}

func (s scaleChange) any() bool { return s.replicas || s.limits }

// setScale lays a change over the workload's scale, or refuses it; w is not written.
func setScale(w *model.Workload, r model.Release, scale map[string]model.Scale) (scaleChange, error) {
	var ch scaleChange
	after := maps.Clone(w.Scale)
	if after == nil {
		after = map[string]model.Scale{}
	}
	for _, name := range slices.Sorted(maps.Keys(scale)) {
		if name == model.ProcessRelease {
			return ch, releaseNotScaled()
		}
		p, ok := r.Process(name)
		if !ok {
			return ch, model.NotFound("there is no process %q", name).WithHint("the processes are: %s", strings.Join(processNames(r), ", "))
		}
		if err := scale[name].Validate(name); err != nil {
			return ch, err
		}
		after[name] = after[name].Over(scale[name])
		was, is := p.Scale.Over(w.Scale[name]), p.Scale.Over(after[name])
		ch.replicas = ch.replicas || was.Count() != is.Count()
		ch.limits = ch.limits || was.Limits() != is.Limits()
	}
	if len(after) > 0 {
		w.Scale = after
	}
	return ch, nil
}

func processNames(r model.Release) []string {
	var names []string
	for _, p := range r.ProcessList() {
		names = append(names, p.Name)
	}
	return names
}

// scaleText returns "web=3 (512 MB)", as audit and events say it.
func scaleText(scale map[string]model.Scale) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(scale)) {
		s, text := scale[name], name
		if s.Replicas != nil {
			text += fmt.Sprintf("=%d", *s.Replicas)
		}
		if s.MilliCPU != 0 {
			text += fmt.Sprintf(" cpu %g", float64(s.MilliCPU)/1000)
		}
		if s.Memory != 0 {
			text += fmt.Sprintf(" memory %d MB", s.Memory>>20)
		}
		if s.Pids != 0 {
			text += fmt.Sprintf(" pids %d", s.Pids)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
}
