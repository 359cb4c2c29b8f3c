package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/client"
)

// buildCancel cancels a build that ignores signals and has many processes: seconds until all of them are gone.
func buildCancel(ctx context.Context, s *setup) (_ result, err error) {
	b, _, err := s.builds(ctx, "debian")
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	var all []float64
	most := 0
	for range s.times(7) {
		if err := b.greedyBuild(ctx, "greedy"); err != nil {
			return result{}, err
		}
		pids, err := b.buildProcesses(ctx)
		if err != nil {
			return result{}, err
		}
		most = max(most, len(pids))
		began := time.Now()
		if r := b.Box.Run(ctx, "builds", "cancel", "-a", "greedy"); r.Code != 0 {
			return result{}, fmt.Errorf("pandabox builds cancel: exit %d\n%s%s", r.Code, r.Out, r.Err)
		}
		gone, err := b.buildsGone(ctx)
		if err != nil {
			return result{}, err
		}
		all = append(all, gone.Sub(began).Seconds())
		if err := b.over(ctx, "greedy"); err != nil {
			return result{}, err
		}
	}
	if most < 5 {
		return result{}, fmt.Errorf("the builds had %d processes", most)
	}
	return result{value: median(all), detail: fmt.Sprintf("up to %d processes, s: %s", most, list(all))}, nil
}

// builderIdle is the memory of the builder some time after a build.
func builderIdle(ctx context.Context, s *setup) (_ result, err error) {
	b, _, err := s.builds(ctx, "debian")
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	if err := b.greedyBuild(ctx, "greedy"); err != nil {
		return result{}, err
	}
	during, err := b.builder()
	if err != nil {
		return result{}, err
	}
	if during == 0 {
		return result{}, fmt.Errorf("no builder runs during a build")
	}
	if _, err := b.CancelBuild(ctx, client.Ref{App: "greedy"}, ""); err != nil {
		return result{}, err
	}
	if err := b.over(ctx, "greedy"); err != nil {
		return result{}, err
	}
	began := time.Now()
	var after int64
	for limit := began.Add(patience); ; {
		if after, err = b.builder(); err != nil || after == 0 || time.Now().After(limit) {
			break
		}
		select {
		case <-ctx.Done():
			return result{}, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return result{
		value:  float64(after) / (1 << 20),
		detail: fmt.Sprintf("%.0f MB while it builds; stopped %.0f s after the last build", float64(during)/(1<<20), time.Since(began).Seconds()),
	}, err
}

// builder returns the memory of the box's BuildKit, 0 when it does not run.
func (b *bench) builder() (int64, error) {
	procs, err := platform(b.Bin, b.Dir)
	if err != nil {
		return 0, err
	}
	var total int64
	for pid, kind := range procs {
		if kind == "buildkitd" {
			n, err := pss(pid)
			if err != nil {
				return 0, err
			}
			total += n
		}
	}
	return total, nil
}

// buildProcesses returns the processes in control groups of this box's builds.
func (b *bench) buildProcesses(ctx context.Context) ([]int, error) {
	info, err := b.Info(ctx)
	if err != nil {
		return nil, err
	}
	all, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return nil, err
	}
	var out []int
	for _, name := range all {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it ended
		}
		if bytes.Contains(text, []byte("pandabox-"+info.Instance)) && bytes.Contains(text, []byte("builds")) {
			pid, _ := strconv.Atoi(strings.Split(name, "/")[2])
			out = append(out, pid)
		}
	}
	return out, nil
}

// buildsGone waits until no process of a build is left, and returns when that was.
func (b *bench) buildsGone(ctx context.Context) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		at := time.Now()
		pids, err := b.buildProcesses(ctx)
		if err != nil {
			return at, err
		}
		if len(pids) == 0 {
			return at, nil
		}
		select {
		case <-ctx.Done():
			return at, fmt.Errorf("%d processes of the build are left: %w", len(pids), ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}
