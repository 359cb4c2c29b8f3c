package edge

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

// actor is what a test's guest code does; the code names it in its first line: "// hello".
type actor func(ctx context.Context, i *played, c *guest.Call) (func(context.Context) error, error)

// theatre is an engine whose guest code is Go.
type theatre struct {
	actors map[string]actor

	opened, made, reset, closed atomic.Int64
	failOpen                    atomic.Bool
}

func (e *theatre) Open(_ context.Context, code guest.Code) (guest.Program, error) {
	name, _, _ := strings.Cut(strings.TrimPrefix(string(code.Main), "// "), "\n")
	if e.failOpen.Load() || e.actors[name] == nil {
		return nil, model.Invalid("the code throws at its top level").WithHint("mend it")
	}
	e.opened.Add(1)
	return &play{e: e, act: e.actors[name], code: code}, nil
}

type play struct {
	e    *theatre
	act  actor
	code guest.Code
	live atomic.Int64
}

func (p *play) New(context.Context) (guest.Isolate, error) {
	p.live.Add(1)
	return &played{p: p, n: p.e.made.Add(1), memory: 1 << 20}, nil
}

func (p *play) Snapshot() int64 { return 100 << 10 }

func (p *play) Close(context.Context) error {
	if n := p.live.Load(); n != 0 {
		return fmt.Errorf("%d isolates are alive", n)
	}
	return nil
}

type played struct {
	p      *play
	n      int64 // 1, 2 … in the order they were made
	calls  int   // since it was made or reset
	memory int64
	busy   atomic.Bool
}

func (i *played) Serve(ctx context.Context, c *guest.Call) (func(context.Context) error, error) {
	if !i.busy.CompareAndSwap(false, true) {
		panic("two calls at once in one isolate")
	}
	defer i.busy.Store(false)
	i.calls++
	return i.p.act(ctx, i, c)
}

func (i *played) Scheduled(ctx context.Context, c *guest.Call, e model.ScheduledEvent) error {
	if e.Job == "none" {
		return model.Invalid("the code has no scheduled handler")
	}
	_, err := i.p.act(ctx, i, c)
	return err
}

func (i *played) Reset(context.Context) error { i.p.e.reset.Add(1); i.calls = 0; return nil }
func (i *played) Memory() int64               { return i.memory }
func (i *played) Close(context.Context) error { i.p.live.Add(-1); i.p.e.closed.Add(1); return nil }

// stage is a host in a test.
type stage struct {
	*Host
	t   *testing.T
	e   *theatre
	cfg Config

	mu    sync.Mutex
	lines []string
}

func newStage(t *testing.T, actors map[string]actor, change ...func(*Config)) *stage {
	t.Helper()
	s := &stage{t: t, e: &theatre{actors: actors}}
	s.cfg = Config{
		DataDir: t.TempDir(),
		KV:      func(string) guest.KV { return nil },
		Log: func(_ model.Replica, stream, text string) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.lines = append(s.lines, stream+": "+text)
		},
		Resolve: func(_ context.Context, env, host string) ([]netip.AddrPort, error) {
			return nil, model.NotFound("%s has no %s", env, host)
		},
		Seal:    func(b []byte) ([]byte, error) { return flip(append([]byte("sealed"), b...)), nil },
		Open:    unseal,
		Logger:  zerolog.New(zerolog.NewTestWriter(t)),
		Engines: map[model.FunctionRuntime]Engine{model.RuntimeJS: s.e},
	}
	for _, c := range change {
		c(&s.cfg)
	}
	s.open()
	t.Cleanup(func() { s.close() })
	return s
}

func flip(b []byte) []byte {
	out := bytes.Clone(b)
	for i := range out {
		out[i] ^= 0x5a
	}
	return out
}

func unseal(b []byte) ([]byte, error) {
	plain, ok := bytes.CutPrefix(flip(b), []byte("sealed"))
	if !ok {
		return nil, errors.New("it is not sealed")
	}
	return plain, nil
}

func (s *stage) open() {
	s.t.Helper()
	h, err := New(s.t.Context(), s.cfg)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Host = h
}

func (s *stage) close() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.t.Context()), 20*time.Millisecond)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		s.t.Error(err)
	}
}

func (s *stage) restart() { s.t.Helper(); s.close(); s.open() }

// tarOf makes a bundle as clients do.
func tarOf(main string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, f := range [][2]string{{"function.json", `{"runtime":"js","main":"main.js"}`}, {"main.js", main}} {
		_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f[0], Size: int64(len(f[1])), Mode: 0o644})
		_, _ = io.WriteString(w, f[1])
	}
	_ = w.Close()
	return b.Bytes()
}

// spec uploads the code of an actor and returns what starts it.
func (s *stage) spec(actor string, change ...func(*model.ContainerSpec)) model.ContainerSpec {
	s.t.Helper()
	b, err := s.Import(s.t.Context(), bytes.NewReader(tarOf("// "+actor+"\nexport default {}\n")))
	if err != nil {
		s.t.Fatal(err)
	}
	r := model.Replica{Role: model.RoleReplica, WorkloadID: "w-" + actor, EnvID: "env", App: actor, ReleaseID: "r", Release: 1, Process: "web", Index: 1}
	spec := model.ContainerSpec{
		Replica: r, Name: r.Name(), Env: []string{"NAME=value"},
		Function: &model.Function{Digest: b.Digest, Size: b.Size, Runtime: model.RuntimeJS},
	}
	for _, c := range change {
		c(&spec)
	}
	return spec
}

// start starts an actor and returns its name.
func (s *stage) start(actor string, change ...func(*model.ContainerSpec)) string {
	s.t.Helper()
	spec := s.spec(actor, change...)
	if _, err := s.Start(s.t.Context(), spec); err != nil {
		s.t.Fatal(err)
	}
	return spec.Name
}

func (s *stage) get(name string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.Serve(name, w, httptest.NewRequest(http.MethodGet, "/path", nil), nil)
	return w
}

// log returns the log of all functions and forgets it.
func (s *stage) log() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := strings.Join(s.lines, "\n")
	s.lines = nil
	return all
}

func limits(l model.FunctionLimits) func(*model.ContainerSpec) {
	return func(c *model.ContainerSpec) { c.Function.Limits = l }
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("it never came: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func hello(_ context.Context, i *played, c *guest.Call) (func(context.Context) error, error) {
	_, err := fmt.Fprintf(c.Writer, "hello from %d, call %d, %s", i.n, i.calls, i.p.code.Env["NAME"])
	return nil, err
}
