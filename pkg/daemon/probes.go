package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/pandabox/pandabox/pkg/control"
	"github.com/pandabox/pandabox/pkg/model"
)

// stopAllGrace is how long apps have to end when everything is stopped.
const stopAllGrace = 10 * time.Second

// probes are what doctor asks the parts outside of control.
func (p *parts) probes() []control.Probe {
	return []control.Probe{
		{Name: "runtime", Run: func(ctx context.Context) (string, error) {
			all, err := p.runtime.List(ctx)
			if err != nil {
				return "", model.Errorf(model.KindUnavailable, "containerd does not answer").Wrap(err).WithWhy("%s", err).
					WithHint("pandabox starts it again by itself; if this stays, see the daemon's log")
			}
			running := 0
			for _, c := range all {
				if c.State == model.ContainerRunning {
					running++
				}
			}
			return fmt.Sprintf("%d of %d containers running", running, len(all)), nil
		}},
		{Name: "functions", Run: func(ctx context.Context) (string, error) {
			all, err := p.functions.List(ctx)
			if err != nil {
				return "", err
			}
			calls, failed := int64(0), int64(0)
			for _, f := range all {
				if u, ok := p.functions.Usage(f.Name); ok {
					calls, failed = calls+u.Requests, failed+u.Errors
				}
			}
			return fmt.Sprintf("%d loaded, %d of %d calls failed since pandabox started", len(all), failed, calls), nil
		}},
		{Name: "builder", Run: func(context.Context) (string, error) {
			if p.builds.builder.Running() {
				return "BuildKit is running", nil
			}
			return "BuildKit starts with the next build", nil
		}},
		{Name: "ingress", Run: func(context.Context) (string, error) {
			return fmt.Sprintf("listening on %s and %s", p.cfg.HTTPAddr, p.cfg.HTTPSAddr), nil
		}},
	}
}
