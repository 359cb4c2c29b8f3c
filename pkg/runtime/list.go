package runtime

import (
	"context"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/containerd/v2/core/containers"

	"github.com/pandabox/pandabox/pkg/model"
)

// found is a container with what only the runtime itself needs to know.
type found struct {
	model.Container
	aliases []string
	runtime string // path of its shim
}

// List returns every container of ours, whatever its state.
func (r *Runtime) List(ctx context.Context) ([]model.Container, error) {
	all, err := again(ctx, r, r.list)
	if err != nil {
		return nil, err
	}
	out := make([]model.Container, len(all))
	for i, c := range all {
		out[i] = c.Container
	}
	return out, nil
}

func (r *Runtime) list(ctx context.Context) ([]found, error) {
	// Containers first: one made in between is then seen without its task, as created, not the other way round.
	records, err := r.client.ContainerService().List(ctx, `labels."`+labelReplica+`"`)
	if err != nil {
		return nil, failure(err, "cannot list the containers")
	}
	resp, err := r.client.TaskService().List(ctx, &tasks.ListTasksRequest{})
	if err != nil {
		return nil, failure(err, "cannot list the running containers")
	}
	running := make(map[string]*task.Process, len(resp.Tasks))
	for _, t := range resp.Tasks {
		running[t.ID] = t
	}
	out := make([]found, 0, len(records))
	for _, rec := range records {
		c, err := r.found(ctx, rec, running[rec.ID])
		if err != nil {
			r.log.Warn().Err(err).Str("container", rec.ID).Msg("a container nobody can identify")
			continue
		}
		out = append(out, c)
	}
	return out, nil
}

// found joins a container's record with its task, nil where it has none.
func (r *Runtime) found(ctx context.Context, rec containers.Container, t *task.Process) (found, error) {
	c, err := fromLabels(rec.ID, rec.Labels, rec.CreatedAt)
	if err != nil {
		return found{}, err
	}
	out := found{Container: c, aliases: aliasesOf(rec.Labels), runtime: rec.Runtime.Name}
	switch {
	case t == nil:
		if r.starting(c.Name) {
			break // its Start is under way
		}
		// A task that ended while containerd was down is gone with its status.
		out.State = model.ContainerExited
		out.Exit = model.Exit{At: rec.UpdatedAt}
	case t.Status == task.Status_RUNNING, t.Status == task.Status_PAUSED, t.Status == task.Status_PAUSING:
		out.State = model.ContainerRunning
		out.Pid = int(t.Pid)
		out.StartedAt = rec.CreatedAt // started as soon as it is made
		out.Addr, _ = r.net.Lookup(c.Name)
	case t.Status == task.Status_STOPPED:
		out.State = model.ContainerExited
		out.StartedAt = rec.CreatedAt
		out.Exit = r.exit(ctx, c, t.ExitStatus, t.ExitedAt.AsTime())
	}
	return out, nil
}

// exit describes how a container ended, while its cgroup is still there.
func (r *Runtime) exit(ctx context.Context, c model.Container, status uint32, at time.Time) model.Exit {
	e := model.Exit{Code: int(status), Known: true, At: at}
	if status != 0 {
		e.OOM = r.groups.oomKills(c.Name) > 0
	}
	if status == initFailed {
		e.Message = r.execMessage(ctx, c, at)
	}
	return e
}
