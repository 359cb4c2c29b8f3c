package edge

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

func TestAnIsolateIsUsedAgain(t *testing.T) {
	s := newStage(t, map[string]actor{"hello": hello, "sometimes": func(ctx context.Context, i *played, c *guest.Call) (func(context.Context) error, error) {
		switch i.calls {
		case 2:
			i.memory += 100 << 20
		case 4:
			return nil, errors.New("it threw")
		}
		return hello(ctx, i, c)
	}})
	name := s.start("hello")
	for call := 1; call <= 3; call++ {
		if got, want := s.get(name).Body.String(), fmt.Sprintf("hello from 1, call %d, value", call); got != want {
			t.Errorf("answered %q, wanted %q", got, want)
		}
	}
	name = s.start("sometimes")
	for _, want := range []string{"2, call 1", "2, call 2", "3, call 1"} { // it grew, and is not used again
		if got := s.get(name).Body.String(); !strings.Contains(got, want) {
			t.Errorf("answered %q, wanted %q", got, want)
		}
	}
}

func TestRequestIsolation(t *testing.T) {
	s := newStage(t, map[string]actor{"hello": hello})
	name := s.start("hello", func(c *model.ContainerSpec) { c.Function.Isolation = model.IsolationRequest })
	for want := int64(1); want <= 5; want++ {
		if got := s.get(name).Body.String(); !strings.Contains(got, "call 1,") {
			t.Errorf("answered %q", got)
		}
		eventually(t, "the isolate is reset", func() bool { u, _ := s.Usage(name); return s.e.reset.Load() == want && u.Running == 0 })
	}
	if made := s.e.made.Load(); made != 1 {
		t.Errorf("%d isolates for one request at a time", made)
	}
}

// TestConcurrency: as many calls at once as may, the others wait in line, the line has an end, and who waits too long
// is turned away.
func TestConcurrency(t *testing.T) {
	var inside, most atomic.Int64
	finish := make(chan struct{})
	s := newStage(t, map[string]actor{"counts": func(ctx context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
		n := inside.Add(1)
		defer inside.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		select {
		case <-finish:
		case <-ctx.Done():
		}
		return nil, ctx.Err()
	}})
	name := s.start("counts", limits(model.FunctionLimits{Concurrency: 3}))
	var wg sync.WaitGroup
	codes := make(chan int, 200)
	for range 3 + s.find(name).gate.most {
		wg.Go(func() { codes <- s.get(name).Code })
	}
	eventually(t, "the line is full", func() bool { _, waiting := s.find(name).gate.count(); return waiting == s.find(name).gate.most })
	got := s.get(name)
	if got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" {
		t.Errorf("at the end of a full line: %d", got.Code)
	}
	if u, _ := s.Usage(name); u.Running != 3 || u.Isolates != 3 || u.Memory != 3<<20+scriptMemory {
		t.Errorf("%+v", u)
	}
	close(finish)
	wg.Wait()
	close(codes)
	for code := range codes {
		if code != 200 {
			t.Errorf("one who waited got %d", code)
		}
	}
	if most.Load() != 3 {
		t.Errorf("%d calls at once", most.Load())
	}

	name = s.start("counts", limits(model.FunctionLimits{Concurrency: 1, Timeout: model.Duration(10 * time.Millisecond)}), func(c *model.ContainerSpec) { c.Name = "short" })
	if err := s.find(name).gate.enter(t.Context()); err != nil { // somebody who does not leave
		t.Fatal(err)
	}
	if got := s.get(name); got.Code != http.StatusServiceUnavailable || got.Header().Get("Retry-After") == "" {
		t.Errorf("who waited until the end got %d", got.Code)
	}
	if log := s.log(); !strings.Contains(log, "it waited for its turn") {
		t.Errorf("logged %q", log)
	}
}

// TestTheGateCountsRight: whoever comes, waits and gives up, in the end nobody is inside and all can come in.
func TestTheGateCountsRight(t *testing.T) {
	g := newGate(4)
	var inside atomic.Int64
	var wg sync.WaitGroup
	for n := range 50 {
		wg.Go(func() {
			for round := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (n+round)%3 == 0 {
					go cancel()
				}
				if err := g.enter(ctx); err == nil {
					if inside.Add(1) > 4 {
						t.Error("too many are inside")
					}
					inside.Add(-1)
					g.leave()
				} else if !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
	if in, waiting := g.count(); in != 0 || waiting != 0 {
		t.Errorf("%d inside, %d wait", in, waiting)
	}
}

func TestIdleFunctionsShrinkToNothing(t *testing.T) {
	s := newStage(t, map[string]actor{"hello": hello}, func(c *Config) { c.IdleTime = 10 * time.Millisecond })
	name := s.start("hello")
	for range 2 {
		if got := s.get(name); got.Code != 200 {
			t.Fatalf("answered %d", got.Code)
		}
		eventually(t, "nothing is held", func() bool { u, _ := s.Usage(name); return u.Memory == 0 && s.held.Load() == 0 })
	}
	if s.e.opened.Load() != 2 || s.e.closed.Load() != s.e.made.Load() {
		t.Errorf("opened %d times; %d isolates of %d closed", s.e.opened.Load(), s.e.closed.Load(), s.e.made.Load())
	}
}

// TestTheLeastRecentlyUsedGoFirst: what idle functions hold together is bounded.
func TestTheLeastRecentlyUsedGoFirst(t *testing.T) {
	const most = 5 << 20
	s := newStage(t, map[string]actor{"hello": hello}, func(c *Config) { c.Idle = most })
	var names []string
	for n := range 20 {
		names = append(names, s.start("hello", func(c *model.ContainerSpec) { c.Name = fmt.Sprint("hello-", n) }))
		s.get(names[n])
	}
	for n, name := range names { // it was long ago
		f := s.find(name)
		f.mu.Lock()
		f.used = time.Now().Add(-time.Hour + time.Duration(n)*time.Second)
		f.mu.Unlock()
	}
	s.hold(0)
	eventually(t, "enough is freed", func() bool { return s.held.Load() <= most })
	for n, name := range names {
		if u, _ := s.Usage(name); (u.Memory >= 1<<20) != (n >= 16) || n < 15 && u.Memory > 0 {
			t.Errorf("%s holds %d bytes", name, u.Memory)
		}
	}
	if got := s.get(names[0]); got.Code != 200 {
		t.Errorf("what was freed answers %d", got.Code)
	}
}

// TestCallsInAllWays: the host's counts are right after calls that succeed, fail, wait, grow, and have work left, in
// functions that come and go meanwhile.
func TestCallsInAllWays(t *testing.T) {
	var turn atomic.Int64
	s := newStage(t, map[string]actor{"any": func(ctx context.Context, i *played, c *guest.Call) (func(context.Context) error, error) {
		switch turn.Add(1) % 7 {
		case 0:
			return nil, errors.New("it threw")
		case 1:
			i.memory += 50 << 20
		case 2:
			return func(context.Context) error { return nil }, nil
		case 3:
			return func(context.Context) error { return errors.New("it threw later") }, nil
		case 4:
			panic("a defect")
		}
		return hello(ctx, i, c)
	}}, func(c *Config) { c.IdleTime, c.Idle = time.Millisecond, 1<<20; c.Logger = c.Logger.Level(5) })
	spec := s.spec("any", limits(model.FunctionLimits{Concurrency: 3}))
	names := []string{"one", "two", "three"}
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for n := range 150 {
				own := spec
				own.Name = names[(w+n)%len(names)]
				if n%25 == 0 {
					if err := s.Remove(t.Context(), own.Name, time.Second); err != nil {
						t.Error(err)
					}
				}
				if _, err := s.Start(t.Context(), own); err != nil {
					t.Error(err)
				}
				s.get(own.Name)
			}
		})
	}
	wg.Wait()
	for _, name := range names {
		if err := s.Remove(t.Context(), name, time.Minute); err != nil {
			t.Error(err)
		}
	}
	if held, made, closed := s.held.Load(), s.e.made.Load(), s.e.closed.Load(); held != 0 || made != closed {
		t.Errorf("%d bytes are held; %d isolates made, %d closed", held, made, closed)
	}
}
