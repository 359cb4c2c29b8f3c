package git

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/source"
)

var _ Box = Platform{}

// Platform is the Box of a running pandabox.
type Platform struct {
	Control *control.Control
	Source  *source.Service
}

const (
	giveUp   = time.Minute     // for a deploy to be canceled
	logGrace = 5 * time.Second // for the rest of a build's log once the build is over
)

// Authenticate implements Box.
func (p Platform) Authenticate(ctx context.Context, token string) (model.Actor, error) {
	return p.Control.Tokens.Authenticate(ctx, token)
}

// Key implements Box.
func (p Platform) Key(ctx context.Context, public []byte) (model.Actor, error) {
	return p.Control.Keys.Authenticate(ctx, public)
}

// App implements Box.
func (p Platform) App(ctx context.Context, actor model.Actor, org, app string) (string, error) {
	return p.Control.Keys.Repository(ctx, actor, org, app)
}

// Targets implements Box.
func (p Platform) Targets(ctx context.Context, actor model.Actor, org, app string, push Push) (Targets, error) {
	found, skipped, err := p.Control.Pushes.Targets(ctx, actor, org, app, control.Push(push))
	if err != nil {
		return Targets{}, err
	}
	out := Targets{Skipped: skipped, Tracked: !strings.HasPrefix(skipped, control.Untracked)}
	for _, t := range found {
		out.Envs = append(out.Envs, Target(t))
	}
	return out, nil
}

// Deploy implements Box.
func (p Platform) Deploy(ctx context.Context, actor model.Actor, a source.Arrival, say func(string)) (Outcome, error) {
	d, err := p.Source.Ship(ctx, actor, a)
	if err != nil || d.Approval != "" {
		return Outcome{Approval: d.Approval}, err
	}
	f := &follow{p: p, actor: actor, ref: control.Ref{Org: a.Org, App: a.App, Env: a.Env}, say: say}
	if d, err = f.run(ctx, d); err != nil {
		return Outcome{}, err
	}
	return outcome(d)
}

func outcome(d control.Deploy) (Outcome, error) {
	if d.State == model.DeploySucceeded {
		return Outcome{Release: d.Release, URL: d.URL}, nil
	}
	r := &Rejection{Reason: strings.ReplaceAll(string(d.State), "_", " ")}
	if n := len(d.Phases); n > 0 && d.Phases[n-1].State == model.DeployBuilding && (d.State == model.DeployFailed || d.State == model.DeployRolledBack) {
		r.Reason = "build failed"
	}
	switch {
	case d.Error != nil:
		r.Err = d.Error
	case d.State == model.DeploySuperseded:
		r.Err = model.Conflict("a newer deploy of %s came first", d.App).WithHint("see it: pandabox status -a %s", d.App)
	default:
		r.Err = model.Errorf(model.KindCanceled, "the deploy of %s was canceled", d.App).WithHint("push again when you want it")
	}
	return Outcome{}, r
}

// follow tells how one deploy goes.
type follow struct {
	p     Platform
	actor model.Actor
	ref   control.Ref
	say   func(string)

	told    int // phases whose end has been told
	reading sync.WaitGroup
	stop    context.CancelFunc // of the build's log; nil before there is one
}

var errOver = errors.New("the deploy is over")

// run waits for the deploy's end. When ctx ends it cancels the deploy.
func (f *follow) run(ctx context.Context, d control.Deploy) (control.Deploy, error) {
	defer func() {
		if f.stop != nil {
			f.stop()
		}
		f.reading.Wait()
	}()
	look := func() (err error) {
		if d, err = f.p.Control.Deploys.Get(ctx, f.actor, control.Ref{Org: f.ref.Org}, d.ID); err != nil {
			return err
		}
		f.show(ctx, d)
		if d.State.Final() {
			return errOver
		}
		return nil
	}
	// From the oldest event on, so that none is missed between the deploy's beginning and now.
	err := f.p.Control.Events.Stream(ctx, f.actor, f.ref.Org, 0, func(e model.Event) error {
		if e.DeployID != d.ID && e.Kind != "gap" {
			return nil
		}
		return look()
	})
	switch {
	case errors.Is(err, errOver):
		return d, nil
	case ctx.Err() != nil:
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveUp)
		defer cancel()
		if _, err := f.p.Control.Deploys.Cancel(end, f.actor, control.Ref{Org: f.ref.Org}, d.ID); err != nil && model.KindOf(err) != model.KindConflict {
			return d, fmt.Errorf("canceling the deploy of an interrupted push: %w", err)
		}
		return d, model.Errorf(model.KindCanceled, "the push was interrupted").WithHint("push again when you want it")
	}
	return d, err
}

// show tells the phases that have ended since the last call, and the build's log between them.
func (f *follow) show(ctx context.Context, d control.Deploy) {
	for i, ph := range d.Phases {
		ended := !ph.Ended.IsZero() || d.State.Final()
		if ph.State == model.DeployBuilding {
			f.log(ctx, d, ended)
		}
		if !ended || i < f.told {
			continue
		}
		f.told = i + 1
		f.say(phase(ph, d))
	}
}

func phase(ph model.Phase, d control.Deploy) string {
	end := ph.Ended
	if end.IsZero() {
		end = d.FinishedAt
	}
	mark := "✓"
	if d.Error != nil && ph.State == d.Phases[len(d.Phases)-1].State {
		mark = "✗"
	}
	return fmt.Sprintf("%s %-9s %s  %.1f s", mark, verb(ph.State), ph.Detail, max(end.Sub(ph.Began), 0).Seconds())
}

// verb is how pandabox deploy calls a phase.
func verb(s model.DeployState) string {
	switch s {
	case model.DeployBuilding:
		return "build"
	case model.DeployPulling:
		return "pull"
	case model.DeployReleasing:
		return "release"
	case model.DeployStarting:
		return "start"
	case model.DeployDraining:
		return "switch"
	}
	return string(s)
}

// log begins to read the build's log and, once the build is over, waits for its end.
func (f *follow) log(ctx context.Context, d control.Deploy, over bool) {
	if f.stop == nil {
		ctx, f.stop = context.WithCancel(ctx)
		f.reading.Go(func() { f.read(ctx, d.ID) })
	}
	if over {
		timer := time.AfterFunc(logGrace, f.stop)
		f.reading.Wait()
		timer.Stop()
	}
}

// read tells the log. That it cannot be read is no reason to stop: the phases tell how the deploy goes.
func (f *follow) read(ctx context.Context, deploy string) {
	l, err := f.p.Control.Builds.List(ctx, f.actor, f.ref, control.Page{Limit: 10})
	if err != nil {
		return
	}
	for _, b := range l.Items {
		if b.DeployID != deploy {
			continue
		}
		_ = f.p.Control.Builds.Log(ctx, f.actor, f.ref, b.ID, 0, true, func(line model.BuildLine) error {
			f.say(strings.TrimSpace(line.Step + " " + line.Text))
			return nil
		})
		return
	}
}
