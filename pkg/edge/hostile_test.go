package edge

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/model"
)

// hostile are functions that want more than they may have.
func hostile() map[string]string {
	handler := func(body string) string { return "export default { async fetch(request) { " + body + " } }" }
	return map[string]string{
		"spin":      handler(`for (;;) {}`),
		"recurse":   handler(`const f = (n) => f(n + 1) + 1; for (;;) try { f(0) } catch {}`),
		"promises":  handler(`const f = () => Promise.resolve().then(f); await f()`),
		"regexp":    handler(`return new Response(/^(a+)+$/.test("a".repeat(40) + "b"))`),
		"allocate":  handler(`const a = []; for (;;) a.push(new Uint8Array(1 << 20).fill(1))`),
		"strings":   handler(`let s = "x"; for (;;) s += s`),
		"join":      handler(`return new Response(new Array(1e9) + "")`),
		"garbage":   handler(`for (;;) { const a = []; for (let i = 0; i < 1e4; i++) a.push({ i }) }`),
		"logs":      handler(`for (;;) console.log("x".repeat(1000))`),
		"answers":   handler(`return new Response(new ReadableStream({ pull(c) { c.enqueue(new Uint8Array(1 << 16)) } }))`),
		"waits":     handler(`await new Promise((done) => setTimeout(done, 1e9))`),
		"timers":    handler(`for (let i = 0; i < 1e5; i++) setInterval(() => {}, 0); await new Promise(() => {})`),
		"waitUntil": `export default { async fetch(request, env, ctx) { ctx.waitUntil((async () => { for (;;) await 0 })()); return new Response("ok") } }`,
	}
}

// TestHostileFunctionsBesideGoodOnes: while others do the worst they can, a function goes on answering, the plain server
// beside it too, the collector is not held up, and each bad call ends.
func TestHostileFunctionsBesideGoodOnes(t *testing.T) {
	s := newStage(t, nil, real, func(c *Config) { c.Logger = zerolog.Nop() })
	good := s.run("good", helloScript)
	functions, plain := served(t, s, good, nil), httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer plain.Close()
	base := measure(t, functions.URL, 50)
	basePlain := measure(t, plain.URL, 50)

	bounds := model.FunctionLimits{CPU: model.Duration(300 * time.Millisecond), Timeout: model.Duration(2 * time.Second), Memory: 16 << 20, Response: 8 << 20}
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	bad := map[string]string{}
	for app, main := range hostile() {
		name := s.run(app, main, limits(bounds))
		bad[app] = name
		for range 3 {
			wg.Go(func() {
				for ctx.Err() == nil {
					began := time.Now()
					func() {
						defer func() { _ = recover() }() // http.ErrAbortHandler: the answer was cut
						s.get(name)
					}()
					if took := time.Since(began); took > 20*time.Second {
						t.Errorf("%s ran for %s", app, took)
					}
				}
			})
		}
	}
	before := collectorPauses()
	beside, besidePlain := measure(t, functions.URL, 100), measure(t, plain.URL, 100)
	for range 20 {
		runtime.GC()
	}
	longest := before.longestSince()
	stop()
	wg.Wait()
	if path := os.Getenv("PANDABOX_FIGURES"); path != "" {
		text := fmt.Sprintf("function %s → %s (p99 %s → %s), plain %s → %s (p99 %s → %s), collector %s\n", base.median, beside.median, base.p99, beside.p99,
			basePlain.median, besidePlain.median, basePlain.p99, besidePlain.p99, longest)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Error(err)
		}
	}
	// Wide bounds: a busy machine is no failure, a function that has to wait for spinning ones is.
	if most := 100*base.median + 300*time.Millisecond; beside.median > most {
		t.Errorf("a good function answers in %s beside bad ones, %s alone", beside.median, base.median)
	}
	if most := 100*basePlain.median + 300*time.Millisecond; besidePlain.median > most {
		t.Errorf("a plain server answers in %s beside bad functions, %s alone", besidePlain.median, basePlain.median)
	}
	if longest > 250*time.Millisecond {
		t.Errorf("the collector waited %s for guests", longest)
	}
	for app, name := range bad {
		u, ok := s.Usage(name)
		if !ok || u.Requests == 0 || u.Running > 0 && app != "waitUntil" {
			t.Errorf("%s: %+v", app, u)
		}
		if err := s.Remove(t.Context(), name, 0); err != nil {
			t.Error(err)
		}
	}
	if got := s.get(good); got.Code != 200 {
		t.Errorf("afterwards it answers %d", got.Code)
	}
	if n := s.turns.idle(); n != s.Host.cfg.Running {
		t.Errorf("%d turns are left", n)
	}
}

func (t *turns) idle() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.free
}

type latency struct{ median, p99 time.Duration }

func measure(t *testing.T, url string, n int) latency {
	t.Helper()
	var took []time.Duration
	for range n {
		began := time.Now()
		resp, err := http.Get(url)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%v, %v", resp, err)
		}
		_ = resp.Body.Close()
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return latency{took[n/2], took[n*99/100]}
}

// pauses are how long the collector took to stop the world.
type pauses struct{ counts []uint64 }

func readPauses() *metrics.Float64Histogram {
	sample := []metrics.Sample{{Name: "/sched/pauses/stopping/gc:seconds"}}
	metrics.Read(sample)
	return sample[0].Value.Float64Histogram()
}

func collectorPauses() pauses { return pauses{slices.Clone(readPauses().Counts)} }

// longestSince returns the upper bound of the longest one since then.
func (p pauses) longestSince() time.Duration {
	h := readPauses()
	for i := len(h.Counts) - 1; i >= 0; i-- {
		if h.Counts[i] > p.counts[i] {
			top := h.Buckets[i+1]
			if math.IsInf(top, 1) {
				top = h.Buckets[i]
			}
			return time.Duration(top * float64(time.Second))
		}
	}
	return 0
}
