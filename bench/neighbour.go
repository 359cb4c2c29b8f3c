package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/client"
	"github.com/pandabox/pandabox/pkg/model"
)

// How a neighbour of a build is asked: at a steady rate that leaves the machine mostly idle, whatever the answers take.
const (
	neighbourRate   = 200 // requests per second
	neighbourPeriod = 8 * time.Second
	neighbourConns  = 32
)

// greedy is a build that takes all it is given: CPU, the disk, and its page cache. It never ends by itself.
const greedy = `FROM debian:bookworm-slim
RUN echo begun; trap '' TERM INT; for i in 1 2 3 4 5 6 7 8; do while :; do :; done & done; while :; do dd if=/dev/zero of=/big bs=1M count=200 conv=fdatasync 2>/dev/null; cat /big >/dev/null; done
`

// greedyBuild deploys a folder with the greedy build and waits until it runs.
func (b *bench) greedyBuild(ctx context.Context, app string) error {
	dir := filepath.Join(b.Dir, app)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(greedy), 0o600); err != nil {
		return err
	}
	// A step that was canceled is in no cache: every build runs it again.
	if _, err := b.deployFolder(ctx, dir, app, "--detach"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := b.BuildLog(ctx, client.Ref{App: app}, "", true, func(l model.BuildLine) error {
		if l.Text == "begun" {
			return errBegun
		}
		return nil
	})
	if errors.Is(err, errBegun) {
		return nil
	}
	return errors.Join(errors.New("the build ended before it began"), err)
}

var errBegun = errors.New("the build runs")

// buildNeighbour compares the latency of an app while a build takes all it may with that without one.
func buildNeighbour(ctx context.Context, s *setup) (_ result, err error) {
	b, _, err := s.builds(ctx, "debian")
	if err != nil {
		return result{}, err
	}
	defer b.end(ctx, &err)
	img, err := b.upload(ctx, s.archive)
	if err != nil {
		return result{}, err
	}
	if _, err := b.plainApp(ctx, 0, img); err != nil {
		return result{}, err
	}
	var ratios, without, with []float64
	for range s.times(5) {
		quiet, err := b.paced(ctx, host(0))
		if err != nil {
			return result{}, err
		}
		if err := b.greedyBuild(ctx, "greedy"); err != nil {
			return result{}, err
		}
		loud, err := b.paced(ctx, host(0))
		if err != nil {
			return result{}, err
		}
		if _, err := b.CancelBuild(ctx, client.Ref{App: "greedy"}, ""); err != nil {
			return result{}, err
		}
		if _, err := b.buildsGone(ctx); err != nil {
			return result{}, err
		}
		q, l := percentile(quiet, 0.99), percentile(loud, 0.99)
		ratios = append(ratios, l.Seconds()/q.Seconds())
		without, with = append(without, float64(q.Microseconds())/1000), append(with, float64(l.Microseconds())/1000)
	}
	return result{value: median(ratios), detail: fmt.Sprintf("p99 in ms at %d requests/s, without a build: %s; with one: %s", neighbourRate, list(without), list(with))}, nil
}

// paced asks a host at a steady rate and returns how long each answer took from when its request was due.
func (b *bench) paced(ctx context.Context, host string) ([]time.Duration, error) {
	c := newCaller(b.HTTP)
	defer c.CloseIdleConnections()
	c.Transport.(*http.Transport).MaxIdleConnsPerHost = neighbourConns
	due := make(chan time.Time)
	var mu sync.Mutex
	var all []time.Duration
	var errs []error
	var done sync.WaitGroup
	for range neighbourConns {
		done.Go(func() {
			for at := range due {
				_, err := fetch(ctx, c, "http://"+host+"/")
				took := time.Since(at)
				mu.Lock()
				if all = append(all, took); err != nil {
					errs = append(errs, err)
				}
				mu.Unlock()
			}
		})
	}
	n := int(neighbourPeriod.Seconds() * neighbourRate)
	began := time.Now()
	for i := range n {
		at := began.Add(time.Duration(i) * time.Second / neighbourRate)
		time.Sleep(time.Until(at))
		due <- at
	}
	close(due)
	done.Wait()
	return all[n/10:], errors.Join(errs...)
}

// over waits until the newest build of an app is over.
func (b *bench) over(ctx context.Context, app string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		list, err := b.Builds(ctx, client.Ref{App: app}, api.Page{Limit: 1})
		if err != nil {
			return err
		}
		if len(list.Items) > 0 && list.Items[0].State.Final() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
}
