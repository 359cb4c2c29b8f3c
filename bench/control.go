package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
)

// What control-2000 looks at: so many apps in the store, listed so often.
const (
	controlApps  = 2000
	controlLists = 300
	controlPage  = 100 // apps in one answer, the API's default
)

// controlFigures are what one box with many apps gives.
type controlFigures struct {
	list, pass       time.Duration
	detail, passText string
}

func controlList(ctx context.Context, s *setup) (result, error) {
	f, err := s.measureControl(ctx)
	if err != nil {
		return result{}, err
	}
	return result{value: ms(f.list), detail: f.detail}, nil
}

func controlReconcile(ctx context.Context, s *setup) (result, error) {
	f, err := s.measureControl(ctx)
	if err != nil {
		return result{}, err
	}
	return result{value: ms(f.pass), detail: f.passText}, nil
}

// measureControl fills a box with apps that have configuration and no release, then lists them page after page, and
// reads from the daemon's log how long its passes over all of them take.
func (s *setup) measureControl(ctx context.Context) (_ *controlFigures, err error) {
	if s.control != nil {
		return s.control, nil
	}
	b, err := s.boxWith(ctx, "debug")
	if err != nil {
		return nil, err
	}
	defer b.end(ctx, &err)
	began := time.Now()
	for i := range controlApps {
		ref := client.Ref{App: fmt.Sprintf("app-%04d", i)}
		if _, err := b.SetVariables(ctx, ref, api.VariableChange{Set: map[string]string{"LOG_LEVEL": "info"}}); err != nil {
			return nil, fmt.Errorf("making %s: %w", ref.App, err)
		}
	}
	made := time.Since(began)
	lists, err := b.listApps(ctx)
	if err != nil {
		return nil, err
	}
	passes, err := b.fullPasses(ctx, 5)
	if err != nil {
		return nil, err
	}
	var total []float64
	for _, p := range passes {
		total = append(total, p.Read+p.Took)
	}
	last := passes[len(passes)-1]
	s.control = &controlFigures{
		list:     percentile(lists, 0.99),
		pass:     time.Duration(median(total) * float64(time.Millisecond)),
		detail:   fmt.Sprintf("%d apps made in %.0f s; %d pages of %d, median %.1f ms", controlApps, made.Seconds(), len(lists), controlPage, ms(percentile(lists, 0.5))),
		passText: fmt.Sprintf("%d workloads: reading %.1f ms, planning %.1f ms", last.Workloads, last.Read, last.Took),
	}
	return s.control, nil
}

// listApps lists all apps page by page, over and over, and returns the time of each page.
func (b *bench) listApps(ctx context.Context) ([]time.Duration, error) {
	var all []time.Duration
	for len(all) < controlLists {
		seen := 0
		for p := (api.Page{Limit: controlPage}); ; {
			began := time.Now()
			l, err := b.Apps(ctx, p)
			if err != nil {
				return nil, fmt.Errorf("listing apps: %w", err)
			}
			all = append(all, time.Since(began))
			seen += len(l.Items)
			if l.Next == "" {
				break
			}
			p.After = l.Next
		}
		if seen != controlApps {
			return nil, fmt.Errorf("%d of %d apps were listed", seen, controlApps)
		}
	}
	return all, nil
}

// fullPass is a line of the daemon's log: a pass of the controller over every workload. Times are in ms.
type fullPass struct {
	Message   string  `json:"message"`
	Workloads int     `json:"workloads"`
	Read      float64 `json:"read"` // reading intent
	Took      float64 `json:"took"` // planning it all, and doing what follows
}

// fullPasses waits for n more passes over everything; with nothing changed there is one every 15 s.
func (b *bench) fullPasses(ctx context.Context, n int) ([]fullPass, error) {
	f, err := os.Open(b.LogFile())
	if err != nil {
		return nil, fmt.Errorf("reading the daemon's log: %w", err)
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(0, 2); err != nil {
		return nil, fmt.Errorf("reading the daemon's log: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(n)*patience)
	defer cancel()
	r := bufio.NewReader(f)
	var all []fullPass
	var rest []byte
	for len(all) < n {
		line, err := r.ReadBytes('\n')
		rest = append(rest, line...)
		if err == nil {
			var p fullPass
			if json.Unmarshal(rest, &p) == nil && p.Message == "full pass" && p.Workloads == controlApps {
				all = append(all, p)
			}
			rest = rest[:0]
			continue
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("only %d passes over everything were seen", len(all)), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
	return all, nil
}
