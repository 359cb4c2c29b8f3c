package main

import (
	"context"
	"fmt"
	"time"
)

// memoryApps is how many apps app-overhead is shared by.
const memoryApps = 10

// settleTime is how long a box is left alone before its memory is read: what start-up needed has been given back by
// then, as far as it is.
const settleTime = 20 * time.Second

// idleMemory is the memory of everything pandabox runs on a box with no apps.
func idleMemory(ctx context.Context, s *setup) (_ result, err error) {
	b, sup, err := s.supervised(ctx)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	defer sup.end(&err)
	total, detail, err := b.memory(ctx)
	return result{value: total, detail: detail}, err
}

// appOverhead is the memory that pandabox needs more for each app that runs; the apps' own processes do not count.
func appOverhead(ctx context.Context, s *setup) (_ result, err error) {
	b, sup, err := s.supervised(ctx)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	defer sup.end(&err)
	img, err := b.upload(ctx, s.archive)
	if err != nil {
		return result{}, err
	}
	without, _, err := b.memory(ctx)
	if err != nil {
		return result{}, err
	}
	for i := range memoryApps {
		if _, err := b.plainApp(ctx, i, img); err != nil {
			return result{}, err
		}
	}
	with, detail, err := b.memory(ctx)
	return result{value: (with - without) / memoryApps, detail: fmt.Sprintf("%.0f MB without apps, with %d: %s", without, memoryApps, detail)}, err
}

// supervised starts a box whose daemon has a supervisor.
func (s *setup) supervised(ctx context.Context) (*bench, *supervisor, error) {
	b, err := s.box(ctx)
	if err != nil {
		return nil, nil, err
	}
	sup, err := b.supervise(ctx)
	if err != nil {
		b.end(ctx, &err)
		return nil, nil, err
	}
	return b, sup, nil
}

// memory lets the box settle and returns the memory of pandabox's own processes in MB: the median of five readings.
func (b *bench) memory(ctx context.Context) (float64, string, error) {
	var readings []float64
	var largest string
	for i := range 5 {
		pause := time.Second
		if i == 0 {
			pause = settleTime
		}
		select {
		case <-ctx.Done():
			return 0, "", ctx.Err()
		case <-time.After(pause):
		}
		procs, err := platform(b.Bin, b.Dir)
		if err != nil {
			return 0, "", err
		}
		if len(procs) < 3 {
			return 0, "", fmt.Errorf("only %d processes were found: %v", len(procs), procs)
		}
		var total int64
		byKind := map[string]int64{}
		counts := map[string]int{}
		for pid, kind := range procs {
			n, err := pss(pid)
			if err != nil {
				return 0, "", err
			}
			total += n
			byKind[kind] += n
			counts[kind]++
		}
		readings = append(readings, float64(total)/(1<<20))
		largest = ""
		for _, kind := range []string{"daemon", "containerd", "supervise", "shim", "log"} {
			if counts[kind] > 0 {
				largest += fmt.Sprintf(" %d×%s %.1f MB", counts[kind], kind, float64(byKind[kind])/(1<<20))
			}
		}
	}
	return median(readings), largest[1:], nil
}
