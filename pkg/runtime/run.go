package runtime

import (
	"context"
	"crypto/rand"
	"strings"

	containerd "github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"

	"github.com/pandabox/pandabox/pkg/model"
)

// Run starts a one-off container, carries its input and output, and returns its exit code once it has ended and is
// removed. x.Command, where given, is used in place of spec's. An empty name is made up. When ctx ends, so does the
// container; should the daemon be killed, the next New removes it.
func (r *Runtime) Run(ctx context.Context, spec model.ContainerSpec, x model.ExecSpec) (int, error) {
	if spec.Name == "" {
		spec.Name = spec.Replica.WorkloadID + "-run-" + strings.ToLower(rand.Text()[:8])
	}
	if len(x.Command) > 0 {
		spec.Command = x.Command
	}
	spec.Replica.Role = model.RoleOneOff
	spec.Env = append(append([]string{}, spec.Env...), x.Env...)
	ctx, err := r.begin(ctx)
	if err != nil {
		return 0, err
	}
	done, err := r.locks.take(ctx, spec.Name)
	if err != nil {
		return 0, failure(err, "cannot run %s", spec.Name)
	}
	defer done()
	if _, err := r.one(ctx, spec.Name); err == nil {
		return 0, model.Conflict("container %s is there already", spec.Name)
	}
	pump := newPump(x)
	var task containerd.Task
	var exited <-chan containerd.ExitStatus
	before := func(t containerd.Task) error {
		task = t
		exited, err = t.Wait(context.WithoutCancel(ctx))
		return err
	}
	_, err = r.launch(ctx, spec, launch{io: cio.NewCreator(pump.options(r.cfg.fifoDir())...), tty: x.TTY, before: before})
	if err != nil {
		return 0, failure(err, "cannot run %s", spec.Name)
	}
	code, err := pump.follow(ctx, task, exited)
	end, cancel := cleanup(ctx)
	defer cancel()
	if cerr := r.clear(end, spec.Name, 0); err == nil {
		err = cerr
	}
	return code, failure(err, "%s was ended", spec.Name)
}
