package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/model"
)

// The numbers of functions the rows deploy.
const (
	coldFunctions   = 300
	fewFunctions    = 10
	manyFunctions   = 1000
	activeFunctions = 10
	idleIsolates    = 64
)

// many deploys n functions, each with code of its own, routed to host(0) … host(n-1).
func (b *bench) many(ctx context.Context, s *setup, n int) error {
	text, err := os.ReadFile(filepath.Join("bench", "functions", "hello", "index.js"))
	if err != nil {
		return fmt.Errorf("run it from the project's root: %w", err)
	}
	jobs := make(chan int)
	const workers = 4
	var wg sync.WaitGroup
	errs := make([]error, workers)
	for k := range workers {
		wg.Go(func() {
			for i := range jobs {
				if errs[k] == nil {
					errs[k] = b.deployNumbered(ctx, s, i, text)
				}
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	wg.Wait()
	return errors.Join(errs...)
}

func (b *bench) deployNumbered(ctx context.Context, s *setup, i int, text []byte) error {
	dir := filepath.Join(s.dir, fmt.Sprintf("fn%d", i))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	code := fmt.Sprintf("globalThis.number = %d;\n%s", i, text)
	if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(code), 0o600); err != nil {
		return err
	}
	app := fmt.Sprintf("fn%d", i)
	if err := b.deployFunction(ctx, app, dir, model.Function{}); err != nil {
		return err
	}
	return b.route(ctx, app, host(i))
}

// again restarts the daemon, after which every function is idle, and waits until host(0) answers.
func (b *bench) again(ctx context.Context) error {
	if err := b.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := b.Start(ctx); err != nil {
		return err
	}
	return b.reached(ctx, host(0))
}

// coldFigures are the times of the first answers of idle functions.
func (s *setup) coldFigures(ctx context.Context) (_ []time.Duration, err error) {
	if s.cold != nil {
		return s.cold, nil
	}
	b, err := s.box(ctx)
	if err != nil {
		return nil, err
	}
	defer b.end(ctx, &err)
	if err := b.many(ctx, s, coldFunctions); err != nil {
		return nil, err
	}
	for range s.times(3) {
		if err := b.again(ctx); err != nil {
			return nil, err
		}
		c := newCaller(b.HTTP)
		for i := 1; i < coldFunctions; i++ { // host(0) has woken the engine
			took, err := firstByte(ctx, c, b.HTTP, host(i))
			if err != nil {
				return nil, err
			}
			if i > 1 { // the first has opened the connection
				s.cold = append(s.cold, took)
			}
		}
		c.CloseIdleConnections()
	}
	return s.cold, nil
}

// firstByte requests / of a host at addr, on c's kept connection, and returns the time to the answer's header.
func firstByte(ctx context.Context, c *http.Client, addr, host string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return 0, err
	}
	req.Host = host
	began := time.Now()
	res, err := c.Do(req)
	took := time.Since(began)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s answered %s %q: %w", host, res.Status, body, err)
	}
	return took, nil
}

func isolateColdMedian(ctx context.Context, s *setup) (result, error) {
	return s.coldRow(ctx, 0.5)
}

func isolateColdP99(ctx context.Context, s *setup) (result, error) {
	return s.coldRow(ctx, 0.99)
}

func (s *setup) coldRow(ctx context.Context, p float64) (result, error) {
	all, err := s.coldFigures(ctx)
	if err != nil {
		return result{}, err
	}
	ms := func(p float64) float64 { return float64(percentile(all, p).Microseconds()) / 1000 }
	return result{value: ms(p), detail: fmt.Sprintf("%d first requests after a restart: p50 %.2f ms, p90 %.2f ms, p99 %.2f ms", len(all), ms(0.5), ms(0.9), ms(0.99))}, nil
}

// sleepy keeps an isolate busy for half a second without working, so that as many isolates are made as there are
// requests at once.
const sleepy = `export default {
  async fetch() {
    await new Promise((done) => setTimeout(done, 500));
    return new Response("hello world");
  },
};
`

// isolateMemory is what one idle isolate holds of the daemon's memory.
func isolateMemory(ctx context.Context, s *setup) (_ result, err error) {
	dir := filepath.Join(s.dir, "sleepy")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return result{}, err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(sleepy), 0o600); err != nil {
		return result{}, err
	}
	made, err := bundle.Build(ctx, dir, bundle.Options{})
	if err != nil {
		return result{}, err
	}
	b, err := s.box(ctx)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	if err := b.deployBundle(ctx, "fn", made, model.Function{Limits: model.FunctionLimits{Concurrency: idleIsolates}}); err != nil {
		return result{}, err
	}
	if err := b.route(ctx, "fn", host(0)); err != nil {
		return result{}, err
	}
	var per []float64
	for range s.times(5) {
		if err := b.again(ctx); err != nil { // one isolate
			return result{}, err
		}
		if err := b.crowd(ctx, "nobody.example", idleIsolates); err == nil { // what so many connections need is not the isolates'
			return result{}, errors.New("a host of nobody's answered well")
		}
		before, err := pss(b.Pid())
		if err != nil {
			return result{}, err
		}
		if err := b.crowd(ctx, host(0), idleIsolates); err != nil {
			return result{}, err
		}
		after, err := pss(b.Pid())
		if err != nil {
			return result{}, err
		}
		per = append(per, float64(after-before)/(idleIsolates-1)/(1<<20))
	}
	return result{value: median(per), detail: fmt.Sprintf("%d isolates of one function, all that the daemon grew by counted as theirs: %s MB", idleIsolates, list(per))}, nil
}

// crowd makes n requests of a host at once.
func (b *bench) crowd(ctx context.Context, host string, n int) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { _, errs[i] = get(ctx, b.HTTP, host, "/") })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// functions1000 is how much more memory the daemon has with many functions deployed than with few, some of them active.
func functions1000(ctx context.Context, s *setup) (result, error) {
	few, err := s.active(ctx, fewFunctions)
	if err != nil {
		return result{}, err
	}
	many, err := s.active(ctx, manyFunctions)
	if err != nil {
		return result{}, err
	}
	return result{value: many - few, detail: fmt.Sprintf("daemon with %d functions %.0f MB, with %d %.0f MB, %d of them active", fewFunctions, few, manyFunctions, many, activeFunctions)}, nil
}

// active deploys n functions, restarts the daemon, and returns its memory in MB while activeFunctions of them answer.
func (s *setup) active(ctx context.Context, n int) (_ float64, err error) {
	b, err := s.box(ctx)
	if err != nil {
		return 0, err
	}
	defer b.end(ctx, &err)
	if err := b.many(ctx, s, n); err != nil {
		return 0, err
	}
	if err := b.again(ctx); err != nil {
		return 0, err
	}
	var readings []float64
	end := time.Now().Add(settleTime + 5*time.Second)
	for time.Now().Before(end) {
		for i := range activeFunctions {
			if _, err := get(ctx, b.HTTP, host(i), "/"); err != nil {
				return 0, err
			}
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Second):
		}
		if time.Until(end) < 5*time.Second {
			n, err := pss(b.Pid())
			if err != nil {
				return 0, err
			}
			readings = append(readings, float64(n)/(1<<20))
		}
	}
	return median(readings), nil
}
