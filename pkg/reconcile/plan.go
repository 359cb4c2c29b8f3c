package reconcile

import (
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/model"
)

// decision is what a plan comes to for one workload.
type decision struct {
	desired model.DesiredWorkload // as it will be stored once update is
	update  model.WorkloadUpdate
	ops     []op          // that should be under way now, in order of urgency; any other is called off
	routes  []model.Route // of the workload, for the table to be published before any operation begins
	wake    time.Time     // plan again then, even when nothing happens; zero: no need
	slots   []slot        // replicas that should run
	keep    string        // a container besides those whose history still matters
}

// slot is one place for a replica.
type slot struct {
	name    string
	replica model.Replica
	process model.Process
	release *model.Release
}

// planner makes one decision. It reads what it is given and changes only itself.
type planner struct {
	dw   model.DesiredWorkload // moved on as far as it goes at this moment
	seen map[string]model.Container
	mem  *memory
	lim  Limits
	now  time.Time
	out  decision

	want, good []slot
	backends   map[string]bool // containers in the routes decided
}

// plan decides what should happen to one workload now: pure, and the same for the same arguments.
//
// seen holds all containers of the workload by name. A zero dw stands for a workload nobody knows: its containers are
// removed, nothing else of it is touched. A plan moves a deploy on as far as it goes, then says what should
// run, where requests go, and what a person is told.
func plan(dw model.DesiredWorkload, seen map[string]model.Container, mem *memory, lim Limits, now time.Time) decision {
	p := &planner{dw: dw, seen: seen, mem: mem, lim: lim, now: now, backends: map[string]bool{}}
	p.out.update.WorkloadID = dw.Workload.ID
	switch {
	case dw.Workload.ID == "":
		p.removeAll()
	case dw.Workload.Deleting:
		p.remove()
	default:
		p.resolve()
		if dw.Deploy != nil {
			p.advance()
			p.resolve()
		}
		p.route()
		p.start()
		p.retire()
		p.report()
	}
	p.out.desired = p.dw
	return p.out
}

// resolve lists the replicas that both targets should have.
func (p *planner) resolve() {
	p.good = p.slots(p.dw.Good, p.dw.Workload.Good)
	p.want = nil
	if p.deploying() && p.dw.Workload.Want != p.dw.Workload.Good {
		p.want = p.slots(p.dw.Want, p.dw.Workload.Want)
	}
	p.out.slots = append(slices.Clip(p.good), p.want...)
}

// slots returns the replicas of a target: web first, then the other processes as the release lists them.
func (p *planner) slots(r *model.Release, t model.Target) []slot {
	if r == nil || t.IsZero() {
		return nil
	}
	list := r.ProcessList()
	slices.SortStableFunc(list, func(a, b model.Process) int { return rank(a) - rank(b) })
	var out []slot
	for _, process := range list {
		for i := range p.count(process) {
			replica := p.replica(model.RoleReplica, r, t, process.Name, i+1)
			out = append(out, slot{name: replica.Name(), replica: replica, process: process, release: r})
		}
	}
	return out
}

func rank(p model.Process) int {
	if p.Name == model.ProcessWeb {
		return 0
	}
	return 1
}

func (p *planner) replica(role model.Role, r *model.Release, t model.Target, process string, index int) model.Replica {
	return model.Replica{
		Role: role, WorkloadID: p.dw.Workload.ID, EnvID: p.dw.Workload.EnvID, App: p.dw.App.Name,
		ReleaseID: r.ID, Release: r.Number, Generation: t.Generation, Process: process, Index: index,
	}
}

// count returns how many replicas of a process should run.
func (p *planner) count(process model.Process) int {
	return process.Scale.Over(p.dw.Workload.Scale[process.Name]).Count()
}

// deploying tells whether a deploy is on its way and has not yet come to serve.
func (p *planner) deploying() bool {
	d := p.dw.Deploy
	return d != nil && !d.State.Final() && d.State != model.DeployDraining
}

// start chooses the replica to start next: one at a time, those of the release that serves first.
func (p *planner) start() {
	slots := p.good
	if d := p.dw.Deploy; p.deploying() && d.State == model.DeployStarting {
		slots = p.out.slots
	}
	var next *op
	for i, s := range slots {
		if c, ok := p.seen[s.name]; ok && c.State == model.ContainerRunning {
			continue
		}
		if _, leaving := p.mem.running[opRetire.key(s.name)]; leaving {
			continue
		}
		if !p.imageReady(slots[i].release) {
			continue
		}
		o := op{kind: opStart, name: s.name, replica: s.replica, release: s.release}
		if _, under := p.mem.running[o.key()]; under {
			next = &o
			break
		}
		c := p.mem.crashes[s.name]
		if p.later(c.next) || p.later(c.start.next) {
			continue
		}
		if next == nil {
			next = &o
		}
	}
	if next != nil {
		p.do(*next)
	}
}

// resolved tells whether a release's image is known and was not found missing. Whether it is really there shows when a
// container is started. A function has none, nor has a site, whose files have to be there.
func (p *planner) resolved(r *model.Release) bool {
	if p.toBuild(r) {
		return false
	}
	if r.Hosted() {
		return true
	}
	img, asked := p.mem.images[r.ID]
	if r.Image.Digest == "" || asked && !img.done {
		return false
	}
	return img.done || r.Image.Config != nil
}

// toBuild tells whether what a release runs has to be built before it can run: it never was, or it is gone from the box.
func (p *planner) toBuild(r *model.Release) bool {
	return !r.Built() || r.Build != nil && p.mem.lost[r.ID]
}

// imageReady tells whether containers of a release can be started, and asks for its image where it is missing.
func (p *planner) imageReady(r *model.Release) bool {
	if p.resolved(r) {
		return true
	}
	o := op{kind: opPull, name: r.ID, release: r}
	if p.toBuild(r) {
		o.kind = opBuild
	}
	if _, under := p.mem.running[o.key()]; under || !p.later(p.mem.images[r.ID].next) {
		p.do(o)
	}
	return false
}

// retire chooses the containers that should go.
func (p *planner) retire() {
	wanted := map[string]bool{}
	for _, s := range p.out.slots {
		wanted[s.name] = true
	}
	for _, name := range sortedNames(p.seen) {
		c := p.seen[name]
		if wanted[name] || p.backends[name] || p.needed(c) {
			continue
		}
		p.retireOne(c, false)
	}
	p.refresh()
}

// needed tells whether a container that is no wanted replica has to stay all the same.
func (p *planner) needed(c model.Container) bool {
	d := p.dw.Deploy
	switch c.Replica.Role {
	case model.RoleOneOff:
		return p.later(c.CreatedAt.Add(p.lim.OneOff))
	case model.RoleJob:
		return true // the scheduler's
	case model.RoleRelease:
		return p.deploying() && d.State != model.DeployStarting && c.Replica.Target() == p.dw.Workload.Want && !c.CreatedAt.Before(d.CreatedAt)
	}
	return false
}

func (p *planner) retireOne(c model.Container, unwell bool) {
	o := op{kind: opRetire, name: c.Name, unwell: unwell, grace: time.Duration(model.DefaultStopGrace)}
	o.drain = c.State == model.ContainerRunning && c.Replica.Role == model.RoleReplica && c.Replica.Process == model.ProcessWeb
	if grace, ok := p.mem.graces[c.Name]; ok {
		o.grace = grace
	} else if process, ok := processOf(&p.dw, c.Replica); ok {
		o.grace = process.Grace.Or(model.DefaultStopGrace)
	}
	if _, under := p.mem.running[o.key()]; under {
		p.do(o)
		return
	}
	if p.making(c.Name) {
		return
	}
	if p.mem.durable && !intent(&p.out.update) && !p.later(p.mem.stops[c.Name].next) {
		p.do(o)
	}
}

// making tells whether an operation that makes the container is under way or about to be: never two on one container.
func (p *planner) making(container string) bool {
	_, starts := p.mem.running[opStart.key(container)]
	_, releases := p.mem.running[opRelease.key(container)]
	return starts || releases || slices.ContainsFunc(p.out.ops, func(o op) bool {
		return o.name == container && (o.kind == opStart || o.kind == opRelease)
	})
}

// processOf returns the process a replica runs, where its release is still known.
func processOf(dw *model.DesiredWorkload, r model.Replica) (model.Process, bool) {
	for _, release := range []*model.Release{dw.Good, dw.Want} {
		if release != nil && release.ID == r.ReleaseID {
			return release.Process(r.Process)
		}
	}
	return model.Process{}, false
}

// refresh starts replicas of the serving release afresh that answered once and do not any more: at most one of each
// process at a time, and none while another one is not up.
func (p *planner) refresh() {
	busy := map[string]bool{}
	var unwell []slot
	for _, s := range p.good {
		c, ok := p.seen[s.name]
		_, leaving := p.mem.running[opRetire.key(s.name)]
		switch state, since := p.state(s); {
		case !ok || c.State != model.ContainerRunning:
			busy[s.process.Name] = true
		case leaving && state == model.ReplicaUnhealthy:
			busy[s.process.Name] = true
			p.retireOne(c, true)
		case state == model.ReplicaUnhealthy:
			if !p.later(since.Add(max(unhealthyFor, 2*backoff(p.mem.crashes[s.name].count)))) {
				unwell = append(unwell, s)
			}
		case state == model.ReplicaStarting:
			busy[s.process.Name] = true
		}
	}
	for _, s := range unwell {
		if !busy[s.process.Name] {
			busy[s.process.Name] = true
			p.retireOne(p.seen[s.name], true)
		}
	}
}

// remove plans the end of a workload: every container, then its volumes and logs, then its record.
func (p *planner) remove() {
	p.removeAll()
	switch {
	case len(p.seen) > 0 || p.mem.unsure > 0 || p.busy():
	case !p.mem.forgot:
		if !p.later(p.mem.stops[""].next) {
			p.do(op{kind: opForget, name: p.dw.Workload.ID})
		}
	default:
		p.out.update.Removed = !p.mem.removed
	}
}

// removeAll retires every container, but for those of a workload that the newest snapshot is too old to know.
func (p *planner) removeAll() {
	for _, name := range sortedNames(p.seen) {
		if c := p.seen[name]; p.dw.Workload.ID != "" || c.CreatedAt.Before(p.mem.readAt) {
			p.retireOne(c, false)
		}
	}
}

// busy tells whether an operation that could still make a container is under way.
func (p *planner) busy() bool {
	for _, o := range p.mem.running {
		if o.kind == opStart || o.kind == opRelease {
			return true
		}
	}
	if _, under := p.mem.running[opForget.key(p.dw.Workload.ID)]; under {
		p.do(op{kind: opForget, name: p.dw.Workload.ID})
		return true
	}
	return false
}

func (p *planner) do(o op) {
	for _, have := range p.out.ops {
		if have.key() == o.key() {
			return
		}
	}
	p.out.ops = append(p.out.ops, o)
}

// later tells whether t is still to come, and has the plan made again then.
func (p *planner) later(t time.Time) bool {
	if !t.After(p.now) {
		return false
	}
	if p.out.wake.IsZero() || t.Before(p.out.wake) {
		p.out.wake = t
	}
	return true
}

func sortedNames(seen map[string]model.Container) []string {
	names := make([]string, 0, len(seen))
	for name := range seen {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	return names
}
