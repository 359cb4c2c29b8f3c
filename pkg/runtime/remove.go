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
	ctx, err := r.begin(ctx)
	if err != nil {
		return err
	}
	return r.remove(ctx, name, grace)
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
	if err := r.client.ContainerService().Delete(ctx, name); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing the record: %w", err)
	}
	if err := r.client.SnapshotService(snapshotter).Remove(ctx, name); err != nil && !errdefs.IsNotFound(err) {
		return fmt.Errorf("removing the file system: %w", err)
	}
	if err := os.RemoveAll(filepath.Join(r.cfg.etcDir(), name)); err != nil {
		return fmt.Errorf("removing the files: %w", err)
	}
	return nil
}

// endTask stops the container's processes and deletes the task.
func (r *Runtime) endTask(ctx context.Context, name string, grace time.Duration) error {
	c, err := r.client.LoadContainer(ctx, name)
	if errdefs.IsNotFound(err) {
		return r.endOrphan(ctx, name)
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
	status, err := task.Status(ctx)
	if err == nil && status.Status == containerd.Running && grace > 0 {
		info, err := c.Info(ctx, containerd.WithoutRefreshedMetadata)
		if err != nil {
			return fmt.Errorf("looking it up: %w", err)
		}
		if err := askToEnd(ctx, task, stopSignal(info.Labels[containerd.StopSignalLabel]), exited, grace); err != nil {
			return err
		}
	}
	return r.deleteTask(ctx, task)
}

// askToEnd sends the stop signal and waits for up to grace.
//
// The first process of a container does not get a signal it has no handler for: the kernel keeps it from PID 1. There
// is no init in between, so such an app would sit out the whole grace. Instead the signal then goes to every process,
// which ends the children of a shell and thereby the shell; and where nobody handles it, there is nothing to wait for.
func askToEnd(ctx context.Context, task containerd.Task, s syscall.Signal, exited <-chan containerd.ExitStatus, grace time.Duration) error {
	var opts []containerd.KillOpts
	if !handles(int(task.Pid()), s) {
		pids, err := task.Pids(ctx)
		if err != nil {
			return ignoreGone(err)
		}
		anyone := false
		for _, p := range pids {
			anyone = anyone || handles(int(p.Pid), s)
		}
		if !anyone && len(pids) <= 1 {
			return nil
		}
		opts = append(opts, containerd.WithKillAll)
	}
	if err := task.Kill(ctx, s, opts...); err != nil {
		return ignoreGone(err)
	}
	select {
	case <-exited:
		return nil
	case <-time.After(grace):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deleteTask kills what is left and deletes the task.
func (r *Runtime) deleteTask(ctx context.Context, task containerd.Task) error {
	ctx, cancel := context.WithTimeoutCause(ctx, killTime, model.Errorf(model.KindTimeout, "a process cannot be killed").
		WithWhy("it hangs in the kernel, usually waiting for a disk or network file system"))
	defer cancel()
	if err := ignoreGone(task.Kill(ctx, syscall.SIGKILL, containerd.WithKillAll)); err != nil {
		return err
	}
	for {
		_, err := task.Delete(ctx, containerd.WithProcessKill)
		if err = ignoreGone(err); err == nil {
			return nil
		}
		if !errdefs.IsFailedPrecondition(err) { // not stopped yet
			return fmt.Errorf("deleting its task: %w", errors.Join(err, context.Cause(ctx)))
		}
		if err := pauseFor(ctx, 10*time.Millisecond); err != nil {
			return context.Cause(ctx)
		}
	}
}

// endOrphan deletes a task whose container's record is gone.
func (r *Runtime) endOrphan(ctx context.Context, name string) error {
	api := r.client.TaskService()
	if _, err := api.Kill(ctx, &tasks.KillRequest{ContainerID: name, Signal: uint32(syscall.SIGKILL), All: true}); err != nil {
		if errdefs.IsNotFound(errgrpc.ToNative(err)) {
			return nil
		}
	}
	_, err := api.Delete(ctx, &tasks.DeleteTaskRequest{ContainerID: name})
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
