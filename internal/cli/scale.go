package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
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
				if wl, err = sh.settle(cmd.Context(), c, ref, wl, slices.Sorted(maps.Keys(scaling.Processes)), w); err != nil {
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

// settleTime is how long a change of replicas is waited for where nothing is said, and settlePoll how often it is looked at.
const (
	settleTime = time.Minute
	settlePoll = 200 * time.Millisecond
)

// settle waits until as many replicas of the processes are healthy as are wanted.
func (sh *shell) settle(ctx context.Context, c *client.Client, ref client.Ref, w api.Workload, names []string, wait waiting) (api.Workload, error) {
	if wait.detach || w.Release == 0 {
		return w, nil
	}
	if wait.timeout == 0 {
		wait.timeout = settleTime
	}
	ctx, cancel := context.WithTimeout(ctx, wait.timeout)
	defer cancel()
	p := sh.progress()
	defer p.Close()
	began := time.Now()
	for {
		text, settled := replicasOf(w, names)
		if settled {
			p.end(true, "scale", text, time.Since(began))
			return w, nil
		}
		p.step("scale", text, began)
		var err error
		select {
		case <-time.After(settlePoll):
			w, err = c.Workload(ctx, ref)
		case <-ctx.Done():
			err = ctx.Err()
		}
		switch {
		case err != nil && exitCode(err) == ExitTimedOut:
			return w, model.Errorf(model.KindTimeout, "not every replica is healthy after %s", wait.timeout).WithWhy("%s; pandabox goes on trying", text).
				WithHint("%s, or %s", hint("ps", ref), hint("logs", ref))
		case err != nil:
			return w, err
		}
	}
}

// replicasOf tells how many replicas of the processes are healthy, and whether that is what is wanted.
func replicasOf(w api.Workload, names []string) (string, bool) {
	var texts []string
	settled := true
	for _, p := range w.Processes {
		if !slices.Contains(names, p.Name) {
			continue
		}
		there := 0
		for _, r := range w.Replicas {
			if r.Replica.Process == p.Name {
				there++
			}
		}
		settled = settled && p.Healthy == p.Replicas && there == p.Replicas
		texts = append(texts, fmt.Sprintf("%s %d of %d healthy", p.Name, p.Healthy, p.Replicas))
	}
	return strings.Join(texts, ", "), settled
}

func (sh *shell) writeScale(w api.Workload) error {
	return list(&sh.output, w.Processes, "no process runs; deploy first", []string{"PROCESS", "REPLICAS", "HEALTHY", "CPU", "MEMORY"}, func(t *table, p api.WorkloadProcess) {
		l := p.Scale.Limits()
		t.add(p.Name, strconv.Itoa(p.Replicas), strconv.Itoa(p.Healthy), cores(l.MilliCPU), size(l.Memory))
	})
}
