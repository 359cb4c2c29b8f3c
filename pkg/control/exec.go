package control

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strconv"

	"github.com/pandabox/pandabox/pkg/identity"
	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/store"
)

// Exec runs commands in and as containers of a workload.
type Exec struct{ c *Control }

// Exec runs a command in a running replica: process "" means web or else the first, index 0 the lowest that is
// healthy. It returns the command's exit code.
func (e *Exec) Exec(ctx context.Context, actor model.Actor, ref Ref, process string, index int, spec model.ExecSpec) (int, error) {
	var container string
	err := e.c.cfg.Store.Update(ctx, func(tx *store.Tx) error {
		pl, err := e.c.findToChange(tx, actor, identity.Exec, ref)
		if err != nil {
			return err
		}
		if err := noContainer(pl.app, "entered", "see what it prints: pandabox logs -f; call it: pandabox fn invoke"); err != nil {
			return err
		}
		if err := checkExec(spec); err != nil {
			return err
		}
		st, err := tx.Status(pl.w.ID)
		if err != nil {
			return err
		}
		r, err := chooseReplica(st, ref, process, index)
		if err != nil {
			return err
		}
		container = r.Name
		return e.c.record(tx, actor, pl.org.ID, "exec", pl.ref().String(), fmt.Sprintf("%s in %s.%d", program(spec), r.Replica.Process, r.Replica.Index))
	})
	if err != nil {
		return 0, err
	}
	if e.c.cfg.Runner == nil {
		return 0, missing("runtime")
	}
	return e.c.cfg.Runner.Exec(ctx, container, spec)
}

// Run runs a command in a fresh container of the release that serves, or else of the one that should, with its
// variables and volumes, and removes the container at the end. It returns the command's exit code.
func (e *Exec) Run(ctx context.Context, actor model.Actor, ref Ref, spec model.ExecSpec) (int, error) {
	var pl place
	var release *model.Release
	var own []string
	err := e.c.cfg.Store.Update(ctx, func(tx *store.Tx) (err error) {
		if pl, err = e.c.findToChange(tx, actor, identity.Exec, ref); err != nil {
			return err
		}
		if err := noContainer(pl.app, "run as a command", "call it: pandabox fn invoke; at set times: pandabox job add NAME SCHEDULE --scheduled"); err != nil {
			return err
		}
		if err := checkExec(spec); err != nil {
			return err
		}
		d, err := tx.Desired(pl.w.ID)
		if err != nil {
			return err
		}
		if release = cmp.Or(d.Good, d.Want); release == nil {
			return nothingDeployed(ref)
		}
		if release.Image.Digest == "" {
			return model.Conflict("the image of %s is not here yet", ref).WithHint("wait until the deploy is done: pandabox status -a %s", ref.App)
		}
		own = e.c.ownVariables(pl, release, d.Domains)
		return e.c.record(tx, actor, pl.org.ID, "run", pl.ref().String(), fmt.Sprintf("%s of v%d", program(spec), release.Number))
	})
	if err != nil {
		return 0, err
	}
	if e.c.cfg.Runner == nil {
		return 0, missing("runtime")
	}
	env, err := e.c.Environ(ctx, pl.w.ID, release.ConfigVersion)
	if err != nil {
		return 0, err
	}
	return e.c.cfg.Runner.Run(ctx, e.c.oneOff(pl, release, spec, append(env, own...)), spec)
}

// ownVariables are those pandabox itself sets, the same as a replica has. They come last, so that they count.
func (c *Control) ownVariables(pl place, r *model.Release, ds []model.Domain) []string {
	front, ok := r.Process(model.ProcessWeb)
	if !ok {
		front = r.ProcessList()[0]
	}
	own := []string{
		"PORT=" + strconv.Itoa(r.PortOf(front)), "PANDABOX_APP=" + pl.app.Name, "PANDABOX_ENV=" + pl.env.Name,
		"PANDABOX_RELEASE=v" + strconv.Itoa(r.Number), "PANDABOX_PROCESS=run", "PANDABOX_REPLICA=1",
	}
	if u := c.urlOf(ds); u != "" {
		own = append(own, "PANDABOX_URL="+u)
	}
	return own
}

// oneOff is the container a command runs as: the release's image and volumes, the limits of its first process.
func (c *Control) oneOff(pl place, r *model.Release, spec model.ExecSpec, env []string) model.ContainerSpec {
	first := r.ProcessList()[0]
	id := c.newID("run")
	return model.ContainerSpec{
		Replica: model.Replica{
			Role: model.RoleOneOff, WorkloadID: pl.w.ID, EnvID: pl.env.ID, App: pl.app.Name, ReleaseID: r.ID, Release: r.Number,
			Process: "run", Index: 1,
		},
		Name:    pl.w.ID + "-" + id,
		Image:   r.Image.Digest,
		Command: spec.Command,
		Env:     env,
		Limits:  first.Scale.Over(pl.w.Scale[first.Name]).Limits(),
		Mounts:  r.Volumes,
	}
}

// chooseReplica returns the running replica to enter.
func chooseReplica(st model.WorkloadStatus, ref Ref, process string, index int) (model.ReplicaStatus, error) {
	var in []model.ReplicaStatus
	for _, r := range st.Replicas {
		switch r.State {
		case model.ReplicaHealthy, model.ReplicaUnhealthy, model.ReplicaStarting:
			in = append(in, r)
		}
	}
	slices.SortStableFunc(in, func(a, b model.ReplicaStatus) int {
		return cmp.Or(
			cmp.Compare(rankState(a.State), rankState(b.State)),
			cmp.Compare(b.Replica.Release, a.Replica.Release),
			cmp.Compare(a.Replica.Index, b.Replica.Index),
		)
	})
	if process == "" && len(in) > 0 {
		process = in[0].Replica.Process
		if slices.ContainsFunc(in, func(r model.ReplicaStatus) bool { return r.Replica.Process == model.ProcessWeb }) {
			process = model.ProcessWeb
		}
	}
	for _, r := range in {
		if r.Replica.Process == process && (index == 0 || r.Replica.Index == index) {
			return r, nil
		}
	}
	what := cmp.Or(process, "replica")
	if index != 0 {
		what = fmt.Sprintf("%s.%d", what, index)
	}
	return model.ReplicaStatus{}, model.Conflict("no %s of %s is running", what, ref).
		WithHint("see what runs: pandabox ps -a %s -e %s; or start a container of its own: pandabox run", ref.App, ref.env())
}

func rankState(s model.ReplicaState) int {
	switch s {
	case model.ReplicaHealthy:
		return 0
	case model.ReplicaUnhealthy:
		return 1
	}
	return 2
}

func checkExec(spec model.ExecSpec) error {
	if len(spec.Command) == 0 || spec.Command[0] == "" {
		return model.Invalid("no command is given").WithHint("write it behind --: pandabox exec -- sh")
	}
	return nil
}

// program is what the audit says of a command: its arguments may hold a secret.
func program(spec model.ExecSpec) string { return path.Base(spec.Command[0]) }
