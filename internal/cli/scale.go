package cli

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/manifest"
	"github.com/pandabox/pandabox/pkg/model"
)

func (sh *shell) scale() *cobra.Command {
	var cpu, memory string
	var w waiting
	cmd := &cobra.Command{
		Use: "scale [PROCESS=REPLICAS...]", Short: "Set how many replicas run and what each may use",
		Long: "Set how many replicas of a process run, and with --cpu and --memory what each of them may use. It stays in force\nover later deploys. Without anything to set, the scale is shown. A change of CPU or memory replaces every replica,\none after the other.",
		Example: `  pandabox scale web=3 worker=0
  pandabox scale web --memory 1GB --cpu 0.5`,
		Args: wants(0, -1, ""),
		RunE: func(cmd *cobra.Command, args []string) error {
			began := time.Now()
			scaling, err := parseScale(args, cpu, memory)
			if err != nil {
				return err
			}
			c, ref, err := sh.at()
			if err != nil {
				return err
			}
			if len(scaling.Processes) == 0 {
				wl, err := c.Workload(cmd.Context(), ref)
				if err != nil {
					return err
				}
				return sh.writeScale(wl)
			}
			wl, err := c.Scale(cmd.Context(), ref, scaling)
			if err != nil {
				return err
			}
			if wl.Deploy == nil {
				if wl, err = sh.settle(cmd.Context(), c, ref, wl, w); err != nil {
					return err
				}
				return sh.writeScale(wl)
			}
			d, err := c.Deploy(cmd.Context(), ref, wl.Deploy.ID)
			if err != nil {
				return err
			}
			return sh.follow(cmd.Context(), c, d, w, began)
		},
	}
	cmd.Flags().StringVar(&cpu, "cpu", "", "cores each replica may use: 0.5")
	cmd.Flags().StringVar(&memory, "memory", "", "memory each replica may use: 256MB")
	w.flags(cmd)
	cmd.ValidArgsFunction = sh.completeProcesses
	return sh.aboutApp(cmd)
}

// settleWait is how long scale waits for its replicas where it was not told: one that crashes never gets there.
const settleWait = time.Minute

// settle waits until as many replicas are healthy as should be.
func (sh *shell) settle(ctx context.Context, c *client.Client, ref client.Ref, wl api.Workload, w waiting) (api.Workload, error) {
	if w.detach {
		return wl, nil
	}
	limit := w.timeout
	if limit == 0 {
		limit = settleWait
	}
	deadline := time.Now().Add(limit)
	for !settled(wl) {
		if time.Now().After(deadline) {
			return wl, model.Errorf(model.KindTimeout, "not every replica of %s is healthy after %s", ref.App, limit).
				WithHint("see why: %s", hint("ps", ref))
		}
		select {
		case <-ctx.Done():
			return wl, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		now, err := c.Workload(ctx, ref)
		if err != nil {
			return wl, err
		}
		wl = now
	}
	return wl, nil
}

func settled(wl api.Workload) bool {
	for _, p := range wl.Processes {
		if p.Healthy != p.Replicas {
			return false
		}
	}
	return true
}

func parseScale(args []string, cpu, memory string) (api.Scaling, error) {
	common := model.Scale{}
	var err error
	if cpu != "" {
		if common.MilliCPU, err = manifest.ParseCPU(cpu); err != nil {
			return api.Scaling{}, err
		}
	}
	if memory != "" {
		if common.Memory, err = manifest.ParseSize(memory); err != nil {
			return api.Scaling{}, err
		}
	}
	if len(args) == 0 && (cpu != "" || memory != "") {
		return api.Scaling{}, model.Invalid("which process?").WithHint("pandabox scale web --memory 1GB")
	}
	out := api.Scaling{Processes: map[string]model.Scale{}}
	for _, a := range args {
		name, replicas, given := strings.Cut(a, "=")
		s := common
		if given {
			n, err := strconv.Atoi(replicas)
			if err != nil {
				return out, model.Invalid("%q is no number of replicas", replicas).WithHint("pandabox scale %s=3", name)
			}
			s.Replicas = &n
		} else if cpu == "" && memory == "" {
			return out, model.Invalid("scale %s to what?", name).WithHint("pandabox scale %s=3", name)
		}
		if err := model.CheckName("process", name); err != nil {
			return out, err
		}
		if err := s.Validate(name); err != nil {
			return out, err
		}
		if _, twice := out.Processes[name]; twice {
			return out, model.Invalid("%s stands there twice", name)
		}
		out.Processes[name] = s
	}
	return out, nil
}

func (sh *shell) writeScale(w api.Workload) error {
	return list(&sh.output, w.Processes, "no process runs; deploy first", []string{"PROCESS", "REPLICAS", "HEALTHY", "CPU", "MEMORY"}, func(t *table, p api.WorkloadProcess) {
		l := p.Scale.Limits()
		t.add(p.Name, strconv.Itoa(p.Replicas), strconv.Itoa(p.Healthy), cores(l.MilliCPU), size(l.Memory))
	})
}
