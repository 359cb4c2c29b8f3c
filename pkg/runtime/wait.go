package runtime

import (
	"context"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	"github.com/containerd/containerd/api/types/task"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"

	"github.com/pandabox/pandabox/pkg/model"
)

// lookAgain is how long Wait trusts that it would be told of an exit.
const lookAgain = 30 * time.Second

// Wait returns how a container ended, once it has. It is told by its shim, and looks for itself from time to time: an
// exit while containerd was down is told to nobody.
func (r *Runtime) Wait(ctx context.Context, name string) (model.Exit, error) {
	for {
		turn, err := r.begin(ctx)
		if err != nil {
			return model.Exit{}, err
		}
		c, err := r.one(turn, name)
		switch {
		case err != nil && model.KindOf(err) != model.KindUnavailable:
			return model.Exit{}, err
		case err == nil && c.State == model.ContainerExited:
			return c.Exit, nil
		case err == nil && c.State == model.ContainerRunning:
			bounded, cancel := context.WithTimeout(turn, lookAgain)
			_, _ = r.client.TaskService().Wait(bounded, &tasks.WaitRequest{ContainerID: idOf(name)}) // whatever it says, look again
			cancel()
		}
		if err := pauseFor(ctx, 10*time.Millisecond); err != nil {
			return model.Exit{}, failure(err, "stopped waiting for %s", name)
		}
	}
}

// one returns one container.
func (r *Runtime) one(ctx context.Context, name string) (found, error) {
	rec, err := r.client.ContainerService().Get(ctx, idOf(name))
	if errdefs.IsNotFound(err) {
		return found{}, model.NotFound("there is no container %s", name)
	}
	if err != nil {
		return found{}, failure(err, "cannot look up container %s", name)
	}
	var process *task.Process
	resp, err := r.client.TaskService().Get(ctx, &tasks.GetRequest{ContainerID: idOf(name)})
	switch err = errgrpc.ToNative(err); {
	case err == nil:
		process = resp.Process
	case !errdefs.IsNotFound(err):
		return found{}, failure(err, "cannot look up container %s", name)
	}
	c, err := r.found(ctx, rec, process)
	if err != nil {
		return found{}, failure(err, "cannot look up container %s", name)
	}
	return c, nil
}
