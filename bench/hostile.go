package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
	"github.com/pandabox/pandabox/pkg/model"
)

// The limits hostile functions run under, and what they are allowed besides: their answer has to be here within the
// deadline and hostileMargin.
const (
	hostileCPU     = 100 * time.Millisecond
	hostileTimeout = 300 * time.Millisecond
	hostileMargin  = 20 * time.Millisecond
	goodWait       = time.Second // what a good function may take at worst while they run
)

// hostile asks functions that mean harm, one after another, and a good one all the time. The value is the part of them,
// in per cent, that ended in time.
func hostile(ctx context.Context, s *setup) (_ result, err error) {
	b, err := s.box(ctx)
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	if err := b.deployFunction(ctx, "good", filepath.Join("bench", "functions", "hello"), model.Function{}); err != nil {
		return result{}, err
	}
	if err := b.route(ctx, "good", host(0)); err != nil {
		return result{}, err
	}
	scripts := jstest.Hostile()
	names := slices.Sorted(maps.Keys(scripts))
	for i, name := range names {
		if err := b.deployHostile(ctx, s, i+1, "export default { async fetch(request, env, ctx) {\n"+scripts[name].Source+"\nreturn new Response('done') } }"); err != nil {
			return result{}, fmt.Errorf("%s: %w", name, err)
		}
	}
	dir, err := s.guest(ctx, "spinwasm")
	if err != nil {
		return result{}, err
	}
	names = append(names, "a loop in C")
	if err := b.deployBounded(ctx, len(names), dir); err != nil {
		return result{}, err
	}
	w := beat(ctx, b.HTTP)
	c := newCaller(b.HTTP)
	defer c.CloseIdleConnections()
	var late []string
	var worst time.Duration
	for i, name := range names {
		if _, err := hit(ctx, c, b.HTTP, host(0)); err != nil { // the connection is open, and the box answers
			return result{}, errors.Join(fmt.Errorf("before %q: %w", name, err), w.stop())
		}
		took, err := hit(ctx, c, b.HTTP, host(i+1))
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !strings.Contains(err.Error(), "EOF") { // an answer that began may be cut
			late = append(late, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		worst = max(worst, took)
		if took > hostileTimeout+hostileMargin {
			late = append(late, fmt.Sprintf("%s after %d ms", name, took.Milliseconds()))
		}
	}
	if err := w.stop(); err != nil {
		late = append(late, err.Error())
	}
	detail := fmt.Sprintf("%d scripts and a loop in C, the slowest answer after %d ms; the good one answered %d times, after %d ms at worst",
		len(names)-1, worst.Milliseconds(), w.count, w.worst.Milliseconds())
	if len(late) > 0 {
		detail += "; not in time: " + strings.Join(late, ", ")
	}
	return result{value: 100 * float64(len(names)-min(len(late), len(names))) / float64(len(names)), detail: detail}, nil
}

func (b *bench) deployHostile(ctx context.Context, s *setup, i int, text string) error {
	dir := filepath.Join(s.dir, fmt.Sprintf("hostile%d", i))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "index.js"), []byte(text), 0o600); err != nil {
		return err
	}
	return b.deployBounded(ctx, i, dir)
}

func (b *bench) deployBounded(ctx context.Context, i int, dir string) error {
	app := fmt.Sprintf("hostile%d", i)
	f := model.Function{Limits: model.FunctionLimits{CPU: model.Duration(hostileCPU), Timeout: model.Duration(hostileTimeout), Memory: 16 << 20}}
	if err := b.deployFunction(ctx, app, dir, f); err != nil {
		return err
	}
	return b.lead(ctx, app, host(i))
}

// hit requests / of a host and returns when the answer was whole, whatever it said.
func hit(ctx context.Context, c *http.Client, addr, host string) (time.Duration, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return 0, err
	}
	req.Host = host
	began := time.Now()
	res, err := c.Do(req)
	if err != nil {
		return time.Since(began), err
	}
	defer func() { _ = res.Body.Close() }()
	_, err = io.Copy(io.Discard, res.Body)
	return time.Since(began), err
}

// beater asks the good function all the time.
type beater struct {
	cancel context.CancelFunc
	done   chan struct{}
	count  int
	worst  time.Duration
	err    error
}

func beat(ctx context.Context, addr string) *beater {
	ctx, cancel := context.WithCancel(ctx)
	w := &beater{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(w.done)
		c := newCaller(addr)
		defer c.CloseIdleConnections()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			began := time.Now()
			body, err := fetch(ctx, c, "http://"+host(0)+"/")
			if ctx.Err() != nil {
				return
			}
			took := time.Since(began)
			w.count++
			w.worst = max(w.worst, took)
			if w.err == nil && (err != nil || body != "hello world" || took > goodWait) {
				w.err = fmt.Errorf("the good function answered %q after %s: %w", body, took, err)
			}
		}
	}()
	return w
}

func (w *beater) stop() error {
	w.cancel()
	<-w.done
	return w.err
}
