package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// waiting is how long a command stays with the deploy it began.
type waiting struct {
	detach  bool
	timeout time.Duration
	verbose bool // the whole log of a build, also on a terminal
	cancels bool // Ctrl-C until the build is over gives the deploy up
}

func (w *waiting) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.detach, "detach", false, "do not wait for the end")
	cmd.Flags().DurationVar(&w.timeout, "timeout", 0, "wait at most this long, then exit with code 6; the deploy goes on (default: to the end)")
	cmd.MarkFlagsMutuallyExclusive("detach", "timeout")
}

func (w *waiting) verboseFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&w.verbose, "verbose", false, "the whole log of the build; without a terminal it is always shown")
}

// follow shows a deploy's phases until its end, prints its result, and returns why it failed.
func (sh *shell) follow(ctx context.Context, c *client.Client, d api.Deploy, w waiting, began time.Time) error {
	ref := client.Ref{App: d.App, Env: d.Env}
	if d.Approval != "" {
		if sh.json {
			return sh.writeJSON(d)
		}
		sh.done("it waits for approval; an admin allows it: pandabox approvals approve %s", d.Approval)
		return nil
	}
	if w.detach {
		if sh.json {
			return sh.writeJSON(d)
		}
		sh.done("deploy %s goes on in the background; watch it: %s", d.ID, hint("deploys watch "+d.ID, ref))
		return nil
	}
	watched := ctx
	if w.timeout > 0 {
		var cancel context.CancelFunc
		watched, cancel = context.WithTimeout(ctx, w.timeout)
		defer cancel()
	}
	p := sh.progress()
	defer p.Close()
	v := phaseView{p: p}
	build := buildView{c: c, ref: ref, p: p, whole: w.verbose || !p.tty, past: w.cancels}
	defer build.Close()
	final, err := c.WatchDeploy(watched, ref, d.ID, func(d api.Deploy) error {
		build.show(watched, d)
		v.show(d)
		return nil
	})
	build.Close()
	p.Close()
	if err != nil {
		if w.cancels && interrupted(ctx, err) && beforeBuilt(final) && beforeBuilt(sh.now(ctx, c, d, ref)) {
			return sh.giveUp(ctx, c, d, ref)
		}
		return sh.leftAlone(err, w, d, ref)
	}
	build.failed(&sh.output, final)
	if sh.json {
		if err := sh.writeJSON(final); err != nil {
			return err
		}
	}
	if err := outcome(final, ref); err != nil {
		return err
	}
	if sh.json {
		return nil
	}
	return sh.summary(final, time.Since(began))
}

// summary prints where the app answers, which release serves, and how long it took.
func (sh *shell) summary(d api.Deploy, took time.Duration) error {
	where := d.URL
	if where == "" {
		where = d.App + " in " + d.Env
	}
	if sh.quiet {
		return sh.line("%s", where)
	}
	s := sh.outStyle()
	return sh.line("  %srelease %s, %s", s.bold(pad(where, nameWidth+detailWidth+2)), number(d.Release), seconds(took))
}

// leftAlone says that a deploy nobody waits for any more goes on.
func (sh *shell) leftAlone(err error, w waiting, d api.Deploy, ref client.Ref) error {
	again := hint("deploys watch "+d.ID, ref) + "; to stop it: " + hint("deploys cancel "+d.ID, ref)
	switch model.KindOf(err) {
	case model.KindTimeout:
		return model.Errorf(model.KindTimeout, "deploy %s is not over after %s", d.ID, w.timeout).WithWhy("it goes on in the background").WithHint("%s", again)
	case model.KindCanceled:
		return &exitError{ExitInterrupted, model.Errorf(model.KindCanceled, "interrupted; deploy %s goes on in the background", d.ID).WithHint("%s", again)}
	}
	return err
}

// outcome returns the error a final deploy stands for, nil for success. Its exit code is 5 where the release before goes
// on serving, 130 where somebody canceled it, else 1.
func outcome(d api.Deploy, ref client.Ref) error {
	e := &model.Error{What: "the deploy of " + d.App + " did not succeed", Hint: hint("logs", ref)}
	if d.Error != nil {
		c := *d.Error
		e = &c
	}
	switch d.State {
	case model.DeploySucceeded:
		return nil
	case model.DeployRolledBack:
		e.Kind = model.KindRolledBack
		return e
	case model.DeployCanceled:
		if d.Error == nil {
			e = model.Errorf(model.KindCanceled, "the deploy of %s was canceled", d.App)
		}
		e.Kind = model.KindCanceled
		return e
	case model.DeploySuperseded:
		return &exitError{ExitFailed, model.Conflict("a newer deploy of %s took over", d.App).WithHint("%s", hint("deploys", ref))}
	}
	return &exitError{ExitFailed, e}
}

// phaseView turns the phases of a deploy into steps on the screen. A phase that ended is shown once.
type phaseView struct {
	p     *progress
	shown int
	open  int       // index of the phase on its way
	since time.Time // when this side first saw it: the box's clock may differ
}

func (v *phaseView) show(d api.Deploy) {
	for i, ph := range d.Phases {
		if i < v.shown {
			continue
		}
		name := phaseName(ph.State)
		if ph.Ended.IsZero() && !d.State.Final() {
			if v.since.IsZero() || v.open != i {
				v.open, v.since = i, time.Now()
			}
			detail := ph.Detail
			switch {
			case ph.State == model.DeployBuilding:
				detail = "" // the log says it sooner
			case ph.Percent > 0:
				detail = pct(ph.Percent) + " " + detail
			}
			v.p.step(name, detail, v.since)
			return
		}
		ended := ph.Ended
		if ended.IsZero() {
			ended = d.FinishedAt
		}
		last := i == len(d.Phases)-1
		ok, detail := !last || d.State == model.DeploySucceeded || !d.State.Final(), ph.Detail
		if !ok && ph.State == model.DeployBuilding {
			detail = "" // of a step that went well
		}
		v.p.end(ok, name, detail, ended.Sub(ph.Began))
		v.shown = i + 1
	}
	if !d.State.Final() && len(d.Phases) == 0 {
		if v.since.IsZero() {
			v.since = time.Now()
		}
		v.p.step("wait", "for its turn", v.since)
	}
}

// phaseName is the verb a person reads for a phase.
func phaseName(s model.DeployState) string {
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

// unsure is the error of a deploy that was asked for, where the answer was not waited for.
func unsure(ctx context.Context, err error, ref client.Ref) error {
	if !interrupted(ctx, err) {
		return err
	}
	e := model.Errorf(model.KindCanceled, "interrupted before the box answered").WithHint("see whether a deploy began: %s", hint("deploys", ref))
	return &exitError{ExitInterrupted, e}
}

// interrupted tells whether err is the person's own Ctrl-C.
func interrupted(ctx context.Context, err error) bool {
	return err != nil && errors.Is(ctx.Err(), context.Canceled)
}
