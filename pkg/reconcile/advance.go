package reconcile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// advance moves the deploy under way on as far as it goes now: image, release process, replicas, switch, old replicas
// gone.
func (p *planner) advance() {
	d := p.dw.Deploy
	if d == nil || d.State.Final() {
		return
	}
	if p.deploying() {
		if d.CancelAsked {
			p.finish(model.DeployCanceled, p.canceled())
			return
		}
		if p.dw.Want == nil {
			p.fail(problem{what: "is not known any more", why: "its record is missing"})
			return
		}
		if !p.fetched() || !p.released() || !p.allHealthy() {
			return
		}
		p.commit()
	}
	p.settle()
}

// fetched tells whether the image of the wanted release is present.
func (p *planner) fetched() bool {
	r, img := p.dw.Want, p.mem.images[p.dw.Want.ID]
	if p.resolved(r) {
		if how := p.mem.made[r.ID]; how != "" && p.dw.Deploy.State == model.DeployBuilding {
			p.detail(how)
		}
		return true
	}
	if p.toBuild(r) {
		return p.built(r, img)
	}
	if r.Image.Digest == "" || p.mem.pull.seen {
		p.enter(model.DeployPulling, p.mem.pull.detail)
		p.percent(p.mem.pull.percent)
	}
	switch {
	case img.err != nil && (img.fatal() || img.count >= errorsToFail):
		p.fail(imageProblem(img.err))
		return false
	case !p.later(p.began().Add(p.lim.Pull)):
		p.fail(problem{what: "has no image", why: fmt.Sprintf("fetching %s took longer than %s", imageName(r), p.lim.Pull), kind: model.KindTimeout,
			hint: "check that the registry answers, then deploy again"})
		return false
	}
	p.imageReady(r)
	return false
}

// built has the wanted release built.
func (p *planner) built(r *model.Release, img failure) bool {
	p.enter(model.DeployBuilding, p.mem.pull.detail)
	p.percent(p.mem.pull.percent)
	if img.err != nil && (atFault(img.err) || img.count >= errorsToFail) {
		p.fail(p.buildProblem(img.err))
		return false
	}
	p.imageReady(r)
	return false
}

// atFault tells whether a build failed because of what is built, so that it would fail again.
func atFault(err error) bool {
	var e *model.Error
	if !errors.As(err, &e) {
		return false
	}
	return e.Kind != model.KindUnavailable && e.Kind != model.KindCanceled && e.Kind != model.KindInternal
}

// released tells whether the release process of the wanted release, if it has one, has done its work.
func (p *planner) released() bool {
	process, ok := p.dw.Want.Process(model.ProcessRelease)
	if !ok || !p.runsRelease() {
		return true
	}
	p.enter(model.DeployReleasing, strings.Join(process.Command, " "))
	replica := p.replica(model.RoleRelease, p.dw.Want, p.dw.Workload.Want, model.ProcessRelease, 1)
	o := op{kind: opRelease, name: replica.Name(), replica: replica, release: p.dw.Want}
	p.out.keep = o.name
	c, made := p.seen[o.name]
	start := p.mem.crashes[o.name].start
	switch {
	case made && c.State == model.ContainerExited && !c.CreatedAt.Before(p.dw.Deploy.CreatedAt):
		if c.Exit.Known && c.Exit.Code == 0 && c.Exit.Message == "" {
			return true
		}
		if line, read := p.lastLine(o.name); read {
			p.fail(releaseProblem(c.Exit, line))
		}
		return false
	case start.err != nil && (fatalStart(start) || start.count >= errorsToFail):
		p.fail(startProblem(model.ProcessRelease, start.err))
		return false
	case !p.later(p.began().Add(p.lim.Release)):
		p.fail(problem{what: "could not be prepared", why: fmt.Sprintf("the release process did not end within %s", p.lim.Release), kind: model.KindTimeout,
			hint: "make the release command shorter, or run it by hand: pandabox run"})
		return false
	}
	o.adopt = made && c.State == model.ContainerRunning
	if _, leaving := p.mem.running[opRetire.key(o.name)]; leaving {
		return false // what is left of an earlier deploy
	}
	if _, under := p.mem.running[o.key()]; under || !p.later(start.next) {
		p.do(o)
	}
	return false
}

// runsRelease tells whether this deploy is one that runs the release process, and has not done so: a restart is not,
// nor is going back to what serves already.
func (p *planner) runsRelease() bool {
	d := p.dw.Deploy
	switch d.Kind {
	case model.DeployRestart, model.DeployScale:
		return false
	}
	return d.State != model.DeployStarting && p.dw.Workload.Want != p.dw.Workload.Good
}

// allHealthy tells whether every replica of the wanted release is, and fails the deploy when one will not be.
func (p *planner) allHealthy() bool {
	slots := p.slots(p.dw.Want, p.dw.Workload.Want)
	p.enter(model.DeployStarting, countsOf(slots))
	ready, grace := true, time.Duration(0)
	var waiting slot
	for _, s := range slots {
		grace = max(grace, s.process.Health.Grace.Or(model.DefaultHealthGrace))
		state, _ := p.state(s)
		if state == model.ReplicaHealthy {
			continue
		}
		if ready {
			waiting = s
		}
		ready = false
		c := p.mem.crashes[s.name]
		switch {
		case c.start.err != nil && s.release.Hosted() && (c.start.fatal() && !p.toBuild(s.release) || c.start.count >= errorsToFail):
			p.fail(functionProblem(c.start.err))
			return false
		case c.start.err != nil && (fatalStart(c.start) || c.start.count >= errorsToFail):
			p.fail(startProblem(s.process.Name, c.start.err))
			return false
		case c.count >= crashesToFail && c.exit != nil:
			if line, read := p.lastLine(s.name); read {
				p.fail(p.crashProblem(s, c, line))
			}
			return false
		case state == model.ReplicaUnhealthy:
			if line, read := p.lastLine(s.name); read {
				p.fail(p.healthProblem(s, line))
			}
			return false
		}
	}
	if ready {
		p.detail(p.healthyDetail(slots))
		return true
	}
	if !p.later(p.began().Add(p.lim.Start + grace)) {
		p.fail(problem{what: "never became healthy", kind: model.KindTimeout,
			why: fmt.Sprintf("%s.%d was not up within %s", waiting.process.Name, waiting.replica.Index, p.lim.Start+grace)})
	}
	return false
}

// fatalStart tells whether starting would fail again. An image that went missing is fetched once more.
func fatalStart(f failure) bool { return f.fatal() && model.KindOf(f.err) != model.KindNotFound }

// commit makes the wanted release the one that serves. From here on there is no way back but another deploy.
func (p *planner) commit() {
	good := p.dw.Workload.Want
	p.out.update.Good = &good
	p.dw.Workload.Good, p.dw.Good = good, p.dw.Want
	p.enter(model.DeployDraining, "")
}

// settle ends a deploy that serves, once what served before is gone.
func (p *planner) settle() {
	left := 0
	for _, c := range p.seen {
		if c.Replica.Role != model.RoleOneOff && c.Replica.Role != model.RoleJob && c.Replica.Target() != p.dw.Workload.Good {
			left++
		}
	}
	if left > 0 && p.later(p.began().Add(p.lim.Drain+p.lim.Remove+time.Duration(model.MaxGrace))) {
		return
	}
	if left > 0 {
		p.detail(fmt.Sprintf("%d old containers could not be removed yet", left))
	}
	p.finish(model.DeploySucceeded, nil)
}

// fail ends the deploy and goes back to what served before.
func (p *planner) fail(why problem) {
	if p.dw.Workload.Good.IsZero() {
		p.finish(model.DeployFailed, p.explain(why))
		return
	}
	p.finish(model.DeployRolledBack, p.explain(why))
}

// finish makes the deploy final.
func (p *planner) finish(state model.DeployState, why *model.Error) {
	d := p.change()
	d.State, d.Error, d.FinishedAt = state, why, p.now
	if n := len(d.Phases); n > 0 && d.Phases[n-1].Ended.IsZero() {
		d.Phases[n-1].Ended = p.now
	}
	p.out.update.Settled = d.ID
	if state != model.DeploySucceeded {
		back := p.dw.Workload.Good
		p.out.update.RollBackTo = &back
		p.dw.Workload.Want, p.dw.Want = back, p.dw.Good
		if back.IsZero() {
			p.dw.Want = nil
			p.dw.Status.Problem = why
		}
	}
	p.dw.Deploy, p.dw.Workload.DeployID = nil, ""
}

// enter begins a phase, unless the deploy is in it or beyond it.
func (p *planner) enter(state model.DeployState, detail string) {
	if d := p.dw.Deploy; d.State == state {
		return
	} else if !d.State.CanBecome(state) {
		return
	}
	d := p.change()
	if n := len(d.Phases); n > 0 && d.Phases[n-1].Ended.IsZero() {
		d.Phases[n-1].Ended = p.now
	}
	d.State = state
	d.Phases = append(d.Phases, model.Phase{State: state, Detail: detail, Began: p.now})
}

// detail says more of the phase under way.
func (p *planner) detail(text string) {
	phases := p.dw.Deploy.Phases
	if n := len(phases); n > 0 && phases[n-1].Detail != text {
		d := p.change()
		d.Phases[n-1].Detail = text
	}
}

// percent says how far the phase under way has come.
func (p *planner) percent(percent int) {
	phases := p.dw.Deploy.Phases
	if n := len(phases); n > 0 && (phases[n-1].State == model.DeployPulling || phases[n-1].State == model.DeployBuilding) && p.mem.pull.seen && (phases[n-1].Percent != percent || phases[n-1].Detail != p.mem.pull.detail) {
		d := p.change()
		d.Phases[n-1].Percent, d.Phases[n-1].Detail = percent, p.mem.pull.detail
	}
}

// change returns the deploy as it will be written: a copy, made once.
func (p *planner) change() *model.Deploy {
	if p.out.update.Deploy == nil {
		d := *p.dw.Deploy
		d.Phases = slices.Clone(d.Phases)
		p.out.update.Deploy = &d
		p.dw.Deploy = &d
	}
	return p.out.update.Deploy
}

// began returns when the phase under way began.
func (p *planner) began() time.Time {
	d := p.dw.Deploy
	for _, phase := range slices.Backward(d.Phases) {
		if phase.State == d.State {
			return phase.Began
		}
	}
	return d.CreatedAt
}

// lastLine returns the last line a container wrote, and false while it is being read.
func (p *planner) lastLine(container string) (string, bool) {
	if !p.mem.readLogs {
		return "", true
	}
	if line, read := p.mem.lines[container]; read {
		return line, true
	}
	p.do(op{kind: opLine, name: container})
	return "", false
}

// countsOf returns "web ×2, worker ×1", the runtime of a function, or "12 files, 3.4 MB" of a site.
func countsOf(slots []slot) string {
	if len(slots) > 0 && slots[0].release.Function != nil {
		return string(slots[0].release.Function.Runtime)
	}
	if len(slots) > 0 && slots[0].release.Static != nil {
		return slots[0].release.Static.String()
	}
	var parts []string
	for i := 0; i < len(slots); {
		n := i
		for n < len(slots) && slots[n].process.Name == slots[i].process.Name {
			n++
		}
		parts = append(parts, fmt.Sprintf("%s ×%d", slots[i].process.Name, n-i))
		i = n
	}
	return strings.Join(parts, ", ")
}

// healthyDetail returns "web ×2 healthy on /up, worker ×1 running", or what the replica of a function or site says of
// itself: "js, 0.4 MB snapshot".
func (p *planner) healthyDetail(slots []slot) string {
	if len(slots) > 0 && slots[0].release.Hosted() {
		return cmp.Or(p.seen[slots[0].name].Detail, countsOf(slots))
	}
	var parts []string
	for _, part := range strings.Split(countsOf(slots), ", ") {
		name, _, _ := strings.Cut(part, " ")
		how := "running"
		if name == model.ProcessWeb && len(slots) > 0 {
			how = p.mem.health[slots[0].name].detail
		}
		if part != "" && how != "" {
			part += " " + how
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}
