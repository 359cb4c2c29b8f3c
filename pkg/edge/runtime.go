package edge

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// List returns every function that is started, as containers, by name.
func (h *Host) List(context.Context) ([]model.Container, error) {
	all := *h.table.Load()
	out := make([]model.Container, 0, len(all))
	for _, f := range all {
		out = append(out, f.container())
	}
	slices.SortFunc(out, func(a, b model.Container) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// Start makes the code ready, which shows whether it runs at all, and puts the function on the disk. One that is started
// is returned as it is. Code that cannot run is a *model.Error of KindInvalid.
func (h *Host) Start(ctx context.Context, spec model.ContainerSpec) (model.Container, error) {
	if spec.Function == nil {
		return model.Container{}, fmt.Errorf("starting %s: it is no function", spec.Name)
	}
	if !nameForm.MatchString(spec.Name) {
		return model.Container{}, model.Invalid("%q is not a name of a replica", spec.Name)
	}
	if err := spec.Function.Validate(); err != nil {
		return model.Container{}, err
	}
	release, err := h.names.take(ctx, spec.Name)
	if err != nil {
		return model.Container{}, err
	}
	defer release()
	if f := h.find(spec.Name); f != nil {
		return f.container(), nil
	}
	program, err := h.load(ctx, spec)
	if err != nil {
		return model.Container{}, err
	}
	k := kept{Spec: spec, Started: h.cfg.Now().UTC()}
	if err := h.writeSpec(k); err != nil {
		_ = program.Close(ctx)
		return model.Container{}, err
	}
	f := h.newFunction(k)
	f.detail = fmt.Sprintf("%s, %.1f MB snapshot", spec.Function.Runtime, float64(program.Snapshot())/(1<<20))
	f.adopt(program)
	h.put(spec.Name, f)
	h.changes.send()
	return f.container(), nil
}

// Remove lets the function's calls end within grace, waitUntil included, cuts what is left, and removes it. What is not
// there is removed already.
func (h *Host) Remove(ctx context.Context, name string, grace time.Duration) error {
	release, err := h.names.take(ctx, name)
	if err != nil {
		return err
	}
	defer release()
	f := h.find(name)
	if f == nil {
		return nil
	}
	f.end()
	wait, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	quiet := f.drain(wait)
	if err := h.removeSpec(name); err != nil {
		return err
	}
	h.put(name, nil)
	close(f.gone)
	h.changes.send()
	if !quiet {
		// It did not end though it was told to. What it holds is freed when it does.
		h.cfg.Logger.Error().Str("function", name).Msg("a call did not end when it was cut")
		h.tasks.Go(func() {
			select {
			case <-f.quiet:
				h.drop(h.life, f, always())
			case <-h.life.Done():
			}
		})
		return nil
	}
	h.drop(context.WithoutCancel(ctx), f, always())
	return nil
}

// Wait returns once the function is removed: functions do not end by themselves.
func (h *Host) Wait(ctx context.Context, name string) (model.Exit, error) {
	f := h.find(name)
	if f == nil {
		return model.Exit{}, model.NotFound("there is no function %s", name)
	}
	select {
	case <-f.gone:
		return model.Exit{Known: true, At: h.cfg.Now().UTC()}, nil
	case <-ctx.Done():
		return model.Exit{}, ctx.Err()
	}
}

// Events fires when a function came or went, and is closed with ctx.
func (h *Host) Events(ctx context.Context) <-chan struct{} { return h.changes.listen(ctx) }

// always is later than anything was used.
func always() time.Time { return time.Now().Add(time.Hour) }
