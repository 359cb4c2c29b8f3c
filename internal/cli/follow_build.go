package cli

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

const (
	lastLines  = 30              // of a failing step are shown
	logGrace   = 5 * time.Second // for the rest of a log once its build is over
	cancelTime = time.Minute     // for a deploy to be given up
)

// buildView shows the log of a deploy's build: whole, or only the newest line under the step and the last ones of a step
// that fails.
type buildView struct {
	c     *client.Client
	ref   client.Ref
	p     *progress
	whole bool
	past  bool // show also the log of a build that was over before anybody looked

	reading sync.WaitGroup
	stop    context.CancelFunc // nil before the log is read
	closed  bool

	mu     sync.Mutex
	newest string               // the step that printed last
	steps  map[string]*stepTail // by step
}

// stepTail is the end of what a step printed.
type stepTail struct {
	head  string // its first line: the command
	lines []string
}

// show begins to read the log once the deploy is being built. Once it is not any more, show returns when all of the log
// has been shown, so that it stands above the phases that follow.
func (v *buildView) show(ctx context.Context, d api.Deploy) {
	began, over := false, d.State.Final()
	for _, ph := range d.Phases {
		if ph.State == model.DeployBuilding {
			began, over = true, over || !ph.Ended.IsZero()
		}
	}
	if began && v.stop == nil && (!over || v.past) {
		ctx, v.stop = context.WithCancel(ctx)
		v.reading.Go(func() { v.read(ctx, d.ID) })
	}
	if over && v.stop != nil && !v.closed {
		timer := time.AfterFunc(logGrace, v.stop)
		v.reading.Wait()
		timer.Stop()
	}
}

// Close ends the reading.
func (v *buildView) Close() {
	v.closed = true
	if v.stop != nil {
		v.stop()
		v.reading.Wait()
	}
}

// read shows the log. That it cannot be read is no reason to stop: the phases tell how the deploy goes.
func (v *buildView) read(ctx context.Context, deploy string) {
	builds, err := v.c.Builds(ctx, v.ref, api.Page{Limit: 10})
	if err != nil {
		return
	}
	for _, b := range builds.Items {
		if b.DeployID != deploy {
			continue
		}
		if err := v.c.BuildLog(ctx, v.ref, b.ID, true, v.line); err != nil && ctx.Err() == nil {
			v.p.line("    the build's log: " + printable(err.Error()))
		}
		return
	}
}

func (v *buildView) line(l model.BuildLine) error {
	v.keep(l)
	text := l.Text
	if v.p.tty {
		text = defuse(text)
	}
	if l.Step != "" {
		text = l.Step + " " + text
	}
	switch {
	case v.whole:
		v.p.line(text)
	case strings.TrimSpace(l.Text) != "":
		v.p.note(stripped(text))
	}
	return nil
}

func (v *buildView) keep(l model.BuildLine) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.steps == nil {
		v.steps = map[string]*stepTail{}
	}
	s := v.steps[l.Step]
	if s == nil {
		s = &stepTail{head: l.Text}
		v.steps[l.Step] = s
	}
	v.newest = l.Step
	if s.lines = append(s.lines, l.Text); len(s.lines) > lastLines {
		s.lines = s.lines[1:]
	}
}

// failed shows the end of what the failing step printed, where the whole log was not shown.
func (v *buildView) failed(o *output, d api.Deploy) {
	if v.whole || d.Error == nil || d.State == model.DeploySucceeded {
		return
	}
	if n := len(d.Phases); n == 0 || d.Phases[n-1].State != model.DeployBuilding {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	step, named := v.newest, ""
	for name, s := range v.steps {
		if name != "" && len(s.head) > len(named) && strings.Contains(d.Error.Error(), ": "+s.head) {
			step, named = name, s.head
		}
	}
	if s := v.steps[step]; s != nil {
		for _, text := range s.lines {
			o.say("    %s", defuse(text))
		}
	}
}

// stripped takes colours out of a line: the line under a step is faint.
func stripped(text string) string {
	var b strings.Builder
	for text != "" {
		if n := colorCode(text); n > 0 {
			text = text[n:]
			continue
		}
		next := strings.IndexByte(text[1:], '\x1b') + 1
		if next == 0 {
			next = len(text)
		}
		b.WriteString(text[:next])
		text = text[next:]
	}
	return b.String()
}

// beforeBuilt tells whether a deploy has not been built yet, so that nothing of it runs.
func beforeBuilt(d api.Deploy) bool {
	return d.State == "" || d.State == model.DeployPending || d.State == model.DeployBuilding
}

// now returns a deploy as the box sees it: what was watched may be a moment behind. Where the box does not say, it is as it
// was asked for.
func (sh *shell) now(ctx context.Context, c *client.Client, d api.Deploy, ref client.Ref) api.Deploy {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer cancel()
	if is, err := c.Deploy(ctx, ref, d.ID); err == nil {
		return is
	}
	return d
}

// giveUp cancels a deploy for a person who pressed Ctrl-C, and waits until nothing of it goes on.
func (sh *shell) giveUp(ctx context.Context, c *client.Client, d api.Deploy, ref client.Ref) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTime)
	defer cancel()
	p := sh.progress()
	defer p.Close()
	began := time.Now()
	p.step("cancel", "", began)
	_, err := c.CancelDeploy(ctx, ref, d.ID)
	if err != nil && model.KindOf(err) != model.KindConflict { // it may be over already
		return &exitError{ExitInterrupted, model.Errorf(model.KindCanceled, "interrupted; deploy %s could not be canceled", d.ID).Wrap(err).
			WithHint("try again: %s", hint("deploys cancel "+d.ID, ref))}
	}
	final, err := c.WatchDeploy(ctx, ref, d.ID, func(api.Deploy) error { return nil })
	p.Close()
	if err != nil {
		return &exitError{ExitInterrupted, model.Errorf(model.KindCanceled, "interrupted; deploy %s is being canceled", d.ID).Wrap(err).
			WithHint("see whether it is over: %s", hint("deploys", ref))}
	}
	if sh.json {
		if err := sh.writeJSON(final); err != nil {
			return err
		}
	}
	switch final.State {
	case model.DeployCanceled:
	case model.DeploySucceeded: // it was faster
		if sh.json {
			return nil
		}
		return sh.summary(final, time.Since(began))
	default:
		return outcome(final, ref)
	}
	e := model.Errorf(model.KindCanceled, "interrupted; deploy %s was canceled", d.ID)
	if final.FromRelease != 0 {
		e = e.WithWhy("%s of %s is still serving", number(final.FromRelease), ref.App)
	}
	return &exitError{ExitInterrupted, e}
}
