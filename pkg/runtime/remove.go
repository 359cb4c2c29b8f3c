package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/containerd/containerd/api/services/tasks/v1"
	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/errdefs"
	"github.com/containerd/errdefs/pkg/errgrpc"
	"github.com/moby/sys/signal"

	"github.com/pandabox/pandabox/pkg/model"
)

// killTime bounds how long a killed container may take to be gone. Longer than that a process hangs in the kernel.
const killTime = 20 * time.Second

// Remove ends a container, gently first, and removes all of it but its log. grace is the time from the image's stop
// signal, SIGTERM unless it names another, to SIGKILL. What is not there is removed already.
func (r *Runtime) Remove(ctx context.Context, name string, grace time.Duration) error {
	_, err := again(ctx, r, func(ctx context.Context) (struct{}, error) { return struct{}{}, r.remove(ctx, name, grace) })
	return err
}

func (r *Runtime) remove(ctx context.Context, name string, grace time.Duration) error {
	done, err := r.locks.take(ctx, name)
	if err != nil {
		return failure(err, "cannot remove %s", name)
	}
	defer done()
	return failure(r.clear(ctx, name, grace), "cannot remove %s", name)
}

// clear removes whatever there is of a container, also of one half made. The caller holds its lock.
func (r *Runtime) clear(ctx context.Context, name string, grace time.Duration) error {
	if err := r.endTask(ctx, name, grace); err != nil {
		return err
	}
	if err := r.net.Detach(ctx, name); err != nil {
		return fmt.Errorf("leaving the network: %w", err)
	}
	if err := r.client.ContainerService().Delete(ctx, idOf(name)); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing the record: %w", err)
	}
	if err := r.client.SnapshotService(snapshotter).Remove(ctx, idOf(name)); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing the file system: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(r.cfg.etcDir(), idOf(name))); err != nil {
		return fmt.Errorf("removing the files: %w", err)
	}
	return nil
}

// endTask stops the container's processes and deletes the task.
func (r *Runtime) endTask(ctx context.Context, name string, grace time.Duration) error {
	c, err := r.client.LoadContainer(ctx, idOf(name))
	if errdefs.IsNotFound(err) {
		return r.endOrphan(ctx, idOf(name))
	}
	if err != nil {
		return fmt.Errorf("looking it up: %w", err)
	}
	task, err := c.Task(ctx, nil)
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("looking up its task: %w", err)
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	exited, err := task.Wait(waiting)
	if err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("waiting for it: %w", err)
	}
	info, err := c.Info(ctx, containerd.WithoutRefreshedMetadata)
	if err != nil {
		return fmt.Errorf("looking it up: %w", err)
	}
	if err := r.endProcesses(ctx, task, stopSignal(info.Labels[containerd.StopSignalLabel]), exited, grace); err != nil {
		return err
	}
	return r.deleteTask(ctx, task)
}

// endProcesses ends a running task: its stop signal, then SIGKILL after grace. The end of its first process is the end
// of all, as the kernel has it for a process namespace. Signals go straight to the process and not through runc, which
// would have to be started for each.
func (r *Runtime) endProcesses(ctx context.Context, task containerd.Task, s syscall.Signal, exited <-chan containerd.ExitStatus, grace time.Duration) error {
	first, err := openProcess(int(task.Pid()))
	if err != nil {
		return nil // ended
	}
	defer first.release()
	// Only now is it sure that the number is still the container's and not somebody else's.
	if status, err := task.Status(ctx); err != nil || status.Status != containerd.Running {
		return nil
	}
	if grace > 0 && r.askToEnd(task.ID(), first, s) {
		select {
		case end := <-exited:
			return brokenWait(end)
		case <-time.After(grace):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := first.signal(syscall.SIGKILL); err != nil {
		return nil // ended
	}
	select {
	case end := <-exited:
		return brokenWait(end)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(killTime):
		return model.Errorf(model.KindTimeout, "a process cannot be killed").
			WithWhy("it hangs in the kernel, usually waiting for a disk or network file system")
	}
}

// brokenWait returns the error of a wait that ended because containerd did, not the container.
func brokenWait(end containerd.ExitStatus) error {
	if err := end.Error(); isUnavailable(err) {
		return err
	}
	return nil
}

// askToEnd sends the stop signal, and tells whether anybody got it.
//
// The first process of a container does not get a signal it has no handler for: the kernel keeps it from PID 1. There
// is no init in between, so such an app would sit out the whole grace. Instead the signal then goes to every process,
// which ends the children of a shell and thereby the shell; and where nobody handles it, there is nothing to wait for.
func (r *Runtime) askToEnd(name string, first *process, s syscall.Signal) bool {
	if handles(first.pid, s) {
		return first.signal(s) == nil
	}
	pids, err := r.groups.pids(name)
	if err != nil {
		return false
	}
	anyone := false
	for _, pid := range pids {
		if pid == first.pid {
			continue
		}
		if p, err := openProcess(pid); err == nil {
			anyone = p.signal(s) == nil || anyone
			p.release()
		}
	}
	return anyone
}

// deleteTask deletes a task that has ended, or never started.
func (r *Runtime) deleteTask(ctx context.Context, task containerd.Task) error {
	ctx, cancel := context.WithTimeout(ctx, killTime)
	defer cancel()
	_, err := task.Delete(ctx)
	if err != nil && !errdefs.IsNotFound(err) {
		_, err = task.Delete(ctx, containerd.WithProcessKill)
	}
	if err = ignoreGone(err); err != nil {
		return fmt.Errorf("deleting its task: %w", err)
	}
	return nil
}

// endOrphan deletes a task whose container's record is gone.
func (r *Runtime) endOrphan(ctx context.Context, id string) error {
	api := r.client.TaskService()
	if _, err := api.Kill(ctx, &tasks.KillRequest{ContainerID: id, Signal: uint32(syscall.SIGKILL), All: true}); err != nil {
		if errdefs.IsNotFound(errgrpc.ToNative(err)) {
			return nil
		}
	}
	_, err := api.Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: id})
	return ignoreGone(errgrpc.ToNative(err))
}

func ignoreGone(err error) error {
	if err == nil || errdefs.IsNotFound(err) || errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

func stopSignal(name string) syscall.Signal {
	if name == "" {
		return syscall.SIGTERM
	}
	s, err := signal.ParseSignal(name)
	if err != nil {
		return syscall.SIGTERM
	}
	return s
}

// handles tells whether a process has a handler for s, or cannot be asked.
func handles(pid int, s syscall.Signal) bool {
	caught, err := statusMask(pid, "SigCgt")
	return err != nil || caught&(1<<(uint(s)-1)) != 0
}
