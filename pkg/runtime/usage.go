package runtime

import (
	"context"

	"github.com/pandabox/pandabox/pkg/model"
	"github.com/pandabox/pandabox/pkg/runtime/logs"
)

// Usage returns what running containers use now, by name. Those that do not run are left out.
func (r *Runtime) Usage(ctx context.Context, names []string) (map[string]model.Usage, error) {
	all, err := r.List(ctx)
	if err != nil {
		return nil, err
	}
	pids := make(map[string]int, len(all))
	for _, c := range all {
		if c.State == model.ContainerRunning {
			pids[c.Name] = c.Pid
		}
	}
	out := make(map[string]model.Usage, len(names))
	for _, name := range names {
		pid, ok := pids[name]
		if !ok {
			continue
		}
		u, err := r.groups.usage(name)
		if err != nil {
			continue // it ended meanwhile
		}
		u.RxBytes, u.TxBytes, _ = traffic(pid)
		out[name] = u
	}
	return out, nil
}

// Logs yields lines of a workload's log, the oldest first, until yield or ctx ends it, or, unless the query follows,
// the log does.
func (r *Runtime) Logs(ctx context.Context, q model.LogQuery, yield func(model.LogLine) error) error {
	return logs.Read(ctx, r.cfg.logDir(q.WorkloadID), q, yield)
}
