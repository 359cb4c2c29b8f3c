package httpapi

import (
	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

// listOf turns a page of control's into one of the API's; its items are never null.
func listOf[T, W any](l control.List[T], wire func(T) W) api.List[W] {
	return api.List[W]{Items: each(l.Items, wire), Next: l.Next}
}

// itemsOf is listOf for what comes whole.
func itemsOf[T, W any](l []T, wire func(T) W) api.Items[W] {
	return api.Items[W]{Items: each(l, wire)}
}

func each[T, W any](l []T, wire func(T) W) []W {
	out := make([]W, 0, len(l))
	for _, v := range l {
		out = append(out, wire(v))
	}
	return out
}

func wireCheck(c control.Check) api.Check    { return api.Check(c) }
func wireDeploy(d control.Deploy) api.Deploy { return api.Deploy(d) }
func wireDomain(d control.Domain) api.Domain { return api.Domain(d) }

func wireApp(a control.App) api.App {
	return api.App{
		ID: a.ID, OrgID: a.OrgID, Name: a.Name, Kind: a.Kind, Project: a.Project, CreatedAt: a.CreatedAt,
		Workloads: each(a.Workloads, wireWorkload),
	}
}

func wireWorkload(w control.Workload) api.Workload {
	out := api.Workload{
		ID: w.Workload.ID, OrgID: w.Workload.OrgID, Project: w.Project, App: w.App.Name, Env: w.Env.Name, Kind: w.App.Kind,
		EnvKind: w.Env.Kind, Protected: w.Env.Protected, State: w.Status.State, URL: w.URL,
		Release: number(w, w.Workload.Want), Serving: number(w, w.Status.Serving),
		Processes: processes(w), Replicas: each(w.Status.Replicas, func(r model.ReplicaStatus) model.ReplicaStatus { return r }),
		Usage: w.Usage, Problem: w.Status.Problem,
		Domains: each(w.Domains, func(d model.Domain) api.Domain { return api.Domain{Domain: d} }),
		Config:  w.Workload.ConfigVersion, Deleting: w.Workload.Deleting, CreatedAt: w.Workload.CreatedAt, UpdatedAt: w.Status.UpdatedAt,
	}
	if w.Want != nil {
		out.Function, out.Static = w.Want.Function, w.Want.Static
	}
	if out.State == "" {
		out.State = model.WorkloadNew
	}
	if w.Deploy != nil {
		out.Deploy = &api.Deploy{
			Deploy: *w.Deploy, App: w.App.Name, Env: w.Env.Name, URL: w.URL,
			Release: number(w, w.Deploy.Target), FromRelease: number(w, w.Deploy.From),
		}
	}
	return out
}

// number returns the number of a target's release, 0 where it is not among what is known of the workload.
func number(w control.Workload, t model.Target) int {
	switch {
	case t.IsZero():
		return 0
	case w.Want != nil && w.Want.ID == t.ReleaseID:
		return w.Want.Number
	case w.Good != nil && w.Good.ID == t.ReleaseID:
		return w.Good.Number
	}
	for _, r := range w.Status.Replicas {
		if r.Replica.ReleaseID == t.ReleaseID {
			return r.Replica.Release
		}
	}
	return 0
}

func processes(w control.Workload) []api.WorkloadProcess {
	out := []api.WorkloadProcess{}
	if w.Want == nil {
		return out
	}
	for _, p := range w.Want.ProcessList() {
		scale := p.Scale.Over(w.Workload.Scale[p.Name])
		wp := api.WorkloadProcess{Name: p.Name, Command: p.Command, Scale: scale, Replicas: scale.Count()}
		if p.Name == model.ProcessWeb {
			wp.Port = w.Want.PortOf(p)
		}
		for _, r := range w.Status.Replicas {
			if r.Replica.Process == p.Name && r.State == model.ReplicaHealthy {
				wp.Healthy++
			}
		}
		out = append(out, wp)
	}
	return out
}
