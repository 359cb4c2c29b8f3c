package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/edge"
	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/guesttest"
	"github.com/pandabox/pandabox/pkg/model"
)

// stallTime is how long guests spin while the collector is made to run over and over.
const stallTime = 5 * time.Second

// gcStall is how long the collector has to wait, at worst, for guests that spin, until the world stands still. The
// host of functions runs in this process: only the process itself can see it.
func gcStall(ctx context.Context, s *setup) (_ result, err error) {
	dir, err := os.MkdirTemp(s.dir, "stall-")
	if err != nil {
		return result{}, err
	}
	same := func(b []byte) ([]byte, error) { return b, nil }
	h, err := edge.New(ctx, edge.Config{
		DataDir: dir, Log: func(model.Replica, string, string) {}, Seal: same, Open: same, Logger: zerolog.Nop(),
		KV:      func(string) guest.KV { return &guesttest.World{} },
		Resolve: func(context.Context, string, string) ([]netip.AddrPort, error) { return nil, nil },
	})
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, h.Close(context.WithoutCancel(ctx))) }()
	spinning := []string{}
	for _, folder := range []string{"spin", "spinwasm"} {
		name, err := s.spin(ctx, h, folder)
		if err != nil {
			return result{}, err
		}
		spinning = append(spinning, name)
	}
	var wg sync.WaitGroup
	end := time.Now().Add(stallTime)
	for _, name := range spinning {
		for range 2 {
			wg.Go(func() {
				for time.Now().Before(end) && ctx.Err() == nil {
					h.Serve(name, httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, "http://spin.example/", nil), nil)
				}
			})
		}
	}
	before := stalls()
	collections := 0
	for time.Now().Before(end) && ctx.Err() == nil {
		runtime.GC()
		collections++
	}
	after := stalls()
	wg.Wait()
	longest := longestStall(before, after)
	return result{
		value:  float64(longest.Microseconds()) / 1000,
		detail: fmt.Sprintf("%d collections beside two spinning functions, JavaScript and C, two requests each", collections),
	}, ctx.Err()
}

// spin starts a function that never ends by itself.
func (s *setup) spin(ctx context.Context, h *edge.Host, folder string) (string, error) {
	dir := filepath.Join("bench", "functions", folder)
	if folder == "spinwasm" {
		var err error
		if dir, err = s.guest(ctx, folder); err != nil {
			return "", err
		}
	}
	made, err := bundle.Build(ctx, dir, bundle.Options{})
	if err != nil {
		return "", err
	}
	var buf bytes.Buffer
	if err := made.Write(&buf); err != nil {
		return "", err
	}
	up, err := h.Import(ctx, &buf)
	if err != nil {
		return "", err
	}
	r := model.Replica{Role: model.RoleReplica, WorkloadID: "w-" + folder, EnvID: "env", App: folder, ReleaseID: "r", Release: 1, Process: model.ProcessWeb, Index: 1}
	_, err = h.Start(ctx, model.ContainerSpec{Replica: r, Name: r.Name(), Function: &model.Function{
		Digest: up.Digest, Size: up.Size, Runtime: up.Runtime, Limits: model.FunctionLimits{CPU: model.Duration(time.Second), Timeout: model.Duration(2 * time.Second)},
	}})
	return r.Name(), err
}

// stalls is how long stopping the world for the collector took so far.
func stalls() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(sample)
	h := sample[0].Value.Float64Histogram()
	return &metrics.Float64Histogram{Counts: slices.Clone(h.Counts), Buckets: h.Buckets}
}

// longestStall returns the upper bound of the longest one between two looks.
func longestStall(before, after *metrics.Float64Histogram) time.Duration {
	for i := len(after.Counts) - 1; i >= 0; i-- {
		if after.Counts[i] > before.Counts[i] {
			top := after.Buckets[i+1]
			if math.IsInf(top, 1) {
				top = after.Buckets[i]
			}
			return time.Duration(top * float64(time.Second))
		}
	}
	return 0
}
