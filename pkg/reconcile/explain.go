package reconcile

import (
	"fmt"

	"github.com/pandabox/pandabox/pkg/model"
)

// problem is why a deploy failed.
type problem struct {
	what string // after "release v7 of shop": "never became healthy"
	why  string
	hint string     // "" for the log
	kind model.Kind // of a deploy with nothing to go back to; default unavailable
	log  string     // the command that shows more; "" for the release's own log
}

// explain says what happened to a deploy, and what serves now.
func (p *planner) explain(why problem) *model.Error {
	kind := why.kind
	if kind == "" {
		kind = model.KindUnavailable
	}
	if !p.dw.Workload.Good.IsZero() {
		kind = model.KindRolledBack
	}
	e := model.Errorf(kind, "release %s of %s %s, %s", p.wanted(), p.title(), why.what, p.remains()).WithWhy("%s", why.why)
	log := "pandabox logs " + p.flags()
	if p.dw.Want != nil {
		log += fmt.Sprintf(" --release v%d", p.dw.Want.Number)
	}
	if why.log != "" {
		log = why.log
	}
	if why.hint == "" {
		return e.WithHint("read its log: %s", log)
	}
	return e.WithHint("%s; log: %s", why.hint, log)
}

func (p *planner) canceled() *model.Error {
	return model.Errorf(model.KindCanceled, "the deploy of release %s of %s was canceled, %s", p.wanted(), p.title(), p.remains())
}

// wanted returns "v7".
func (p *planner) wanted() string {
	if p.dw.Want == nil {
		return p.dw.Workload.Want.ReleaseID
	}
	return fmt.Sprintf("v%d", p.dw.Want.Number)
}

// title returns "shop", or "shop in staging".
func (p *planner) title() string {
	if p.dw.Env.Name == string(model.EnvProduction) || p.dw.Env.Name == "" {
		return p.dw.App.Name
	}
	return p.dw.App.Name + " in " + p.dw.Env.Name
}

func (p *planner) flags() string {
	if p.dw.Env.Name == string(model.EnvProduction) || p.dw.Env.Name == "" {
		return "-a " + p.dw.App.Name
	}
	return "-a " + p.dw.App.Name + " -e " + p.dw.Env.Name
}

// remains says what serves after a deploy that failed.
func (p *planner) remains() string {
	if p.dw.Good == nil {
		return "nothing is serving"
	}
	if _, backends := p.serving(); len(backends) > 0 {
		return fmt.Sprintf("v%d is still serving", p.dw.Good.Number)
	}
	return fmt.Sprintf("back to v%d", p.dw.Good.Number)
}

func (p *planner) crashProblem(s slot, c crash, line string) problem {
	return problem{
		what: "never became healthy",
		why:  fmt.Sprintf("%s %s%s", s.process.Name, times(*c.exit, c.count), lastLine(line)),
		hint: p.exitHint(s.process, *c.exit),
	}
}

// times returns "exited 3 times with code 1".
func times(e model.Exit, n int) string {
	if n > 1 && e.Known && !e.OOM && e.Message == "" && e.Code <= 128 {
		return fmt.Sprintf("exited %d times with code %d", n, e.Code)
	}
	if n > 1 {
		return fmt.Sprintf("%s, %d times", e, n)
	}
	return e.String()
}

func (p *planner) exitHint(process model.Process, e model.Exit) string {
	switch {
	case e.OOM:
		memory := process.Scale.Over(p.dw.Workload.Scale[process.Name]).Limits().Memory
		return fmt.Sprintf("give it more than %d MB of memory: pandabox scale %s %s --memory %dMB", memory>>20, p.flags(), process.Name, memory>>19)
	case e.Message != "":
		return "check the command of " + process.Name
	case e.Code == 127:
		return "check that the command of " + process.Name + " is in the image"
	case e.Code == 0:
		return process.Name + " has to keep running; a command that ends belongs in pandabox run or a release process"
	}
	return ""
}

func (p *planner) healthProblem(s slot, line string) problem {
	grace := s.process.Health.Grace.Or(model.DefaultHealthGrace)
	why := fmt.Sprintf("%s.%d did not pass its health check within %s", s.process.Name, s.replica.Index, grace)
	if detail := p.mem.health[s.name].detail; detail != "" {
		why += ": " + detail
	}
	return problem{what: "never became healthy", why: why + lastLine(line), kind: model.KindTimeout,
		hint: fmt.Sprintf("have %s listen on 0.0.0.0:$PORT (%d), or allow more time with health.grace", s.process.Name, s.release.PortOf(s.process))}
}

func releaseProblem(e model.Exit, line string) problem {
	return problem{what: "could not be prepared", why: fmt.Sprintf("the release process %s%s", e, lastLine(line))}
}

func startProblem(process string, err error) problem {
	what := "could not be started"
	if process == model.ProcessRelease {
		what = "could not be prepared"
	}
	return problem{what: what, why: fmt.Sprintf("%s could not start: %s", process, reason(err)), hint: hintOf(err), kind: kindOf(err)}
}

// functionProblem is why a function's code could not be made ready; the message is the code's own where it threw.
func functionProblem(err error) problem {
	return problem{what: "could not be started", why: reason(err), hint: hintOf(err), kind: kindOf(err)}
}

func (p *planner) buildProblem(err error) problem {
	return problem{what: "could not be built", why: reason(err), hint: hintOf(err), kind: kindOf(err), log: "pandabox builds log " + p.flags()}
}

func imageProblem(err error) problem {
	return problem{what: "has no image", why: reason(err), hint: hintOf(err), kind: kindOf(err)}
}

func lastLine(line string) string {
	const most = 300
	if line == "" {
		return ""
	}
	if r := []rune(line); len(r) > most {
		line = string(r[:most]) + "…"
	}
	return fmt.Sprintf("; last line: %q", line)
}

func imageName(r *model.Release) string {
	if r.Image.Ref != "" {
		return r.Image.Ref
	}
	return "its image"
}

// replicaProblem says what is wrong with one replica of what serves, nil when nothing is.
func (p *planner) replicaProblem(s slot, state model.ReplicaState, history crash) *model.Error {
	bad := func(what string, args ...any) *model.Error {
		name := s.process.Name
		if s.release.Function != nil {
			name = "the code"
		} else if s.release.Static != nil {
			name = "the site"
		}
		return model.Errorf(model.KindUnavailable, "%s of %s %s", name, p.title(), fmt.Sprintf(what, args...))
	}
	log := func(e *model.Error, hint string) *model.Error {
		if hint == "" {
			return e.WithHint("read its log: pandabox logs %s", p.flags())
		}
		return e.WithHint("%s; log: pandabox logs %s", hint, p.flags())
	}
	switch {
	case state == model.ReplicaHealthy:
		return nil
	case p.imageError(s) != nil:
		err := p.imageError(s)
		return log(bad("has no image").WithWhy("%s", reason(err)), hintOf(err))
	case history.start.err != nil:
		return log(bad("could not be started").WithWhy("%s", reason(history.start.err)), hintOf(history.start.err))
	case state == model.ReplicaBackoff && history.exit != nil, state == model.ReplicaStarting && history.exit != nil && history.count > 1:
		return log(bad("keeps ending").WithWhy("%s", times(*history.exit, history.count)), p.exitHint(s.process, *history.exit))
	case state == model.ReplicaUnhealthy:
		return log(bad("does not pass its health check").WithWhy("%s", p.mem.health[s.name].detail), "")
	}
	return nil
}
