//go:build linux

// Package functions builds every template of `pandabox fn init` with its real toolchain and serves requests with the
// real host. It needs clang, lld, rustc with libstd-rust-dev-wasm32, make, Go and npm.
package functions

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/pandabox/pandabox/pkg/edge"
	"github.com/pandabox/pandabox/pkg/edge/bundle"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/guesttest"
	"github.com/pandabox/pandabox/pkg/model"
)

// box is a host of functions with a store and a log in memory.
type box struct {
	*edge.Host
	store guesttest.World

	mu    sync.Mutex
	lines []string
}

func newBox(t *testing.T) *box {
	t.Helper()
	b := &box{}
	h, err := edge.New(t.Context(), edge.Config{
		DataDir: t.TempDir(),
		KV:      func(string) guest.KV { return &b.store },
		Log: func(_ model.Replica, stream, text string) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.lines = append(b.lines, stream+": "+text)
		},
		Resolve: func(_ context.Context, _, host string) ([]netip.AddrPort, error) {
			return nil, model.NotFound("there is no %s", host)
		},
		Seal:   func(p []byte) ([]byte, error) { return p, nil },
		Open:   func(p []byte) ([]byte, error) { return p, nil },
		Logger: zerolog.New(zerolog.NewTestWriter(t)),
	})
	if err != nil {
		t.Fatal(err)
	}
	b.Host = h
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return b
}

// deploy uploads a bundle and starts it.
func (b *box) deploy(t *testing.T, name string, made *bundle.Bundle) string {
	t.Helper()
	var file bytes.Buffer
	if err := made.Write(&file); err != nil {
		t.Fatal(err)
	}
	got, err := b.Import(t.Context(), &file)
	if err != nil {
		t.Fatal(err)
	}
	if got.Digest != made.Digest || got.Runtime != made.Runtime {
		t.Fatalf("uploaded %+v and made %s %s", got, made.Digest, made.Runtime)
	}
	r := model.Replica{
		Role: model.RoleReplica, WorkloadID: "w-" + name, EnvID: "env", App: name, ReleaseID: "r", Release: 1, Process: "web", Index: 1,
	}
	spec := model.ContainerSpec{
		Replica: r, Name: r.Name(), Env: []string{"GREETING=hi"},
		Function: &model.Function{Digest: got.Digest, Size: got.Size, Runtime: got.Runtime},
	}
	if _, err := b.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	return spec.Name
}

func (b *box) request(t *testing.T, name, method, path string, body io.Reader) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	b.Serve(name, w, httptest.NewRequestWithContext(t.Context(), method, "http://hello.example"+path, body), nil)
	return w
}

func (b *box) log() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}

func TestEveryTemplateRuns(t *testing.T) {
	for _, template := range bundle.Templates() {
		t.Run(template.Name, func(t *testing.T) {
			made := build(t, template.Name)
			b := newBox(t)
			name := b.deploy(t, template.Name, made)
			w := b.request(t, name, "GET", "/", nil)
			if w.Code != http.StatusOK || w.Body.String() != "Hello from hello\n" {
				t.Fatalf("/ answered %d %q; log: %s", w.Code, w.Body, b.log())
			}
			if w = b.request(t, name, "GET", "/nothing/here", nil); w.Code != http.StatusNotFound {
				t.Errorf("/nothing/here answered %d %q", w.Code, w.Body)
			}
			if template.Name == "go-wagi" {
				if w = b.request(t, name, "POST", "/echo", strings.NewReader("ping")); w.Body.String() != "ping" {
					t.Errorf("/echo answered %d %q; log: %s", w.Code, w.Body, b.log())
				}
			} else {
				b.counts(t, name)
			}
			if template.Name != "hono" {
				b.runsAJob(t, name)
			}
		})
	}
}

// counts looks for what a template keeps in the key-value store.
func (b *box) counts(t *testing.T, name string) {
	t.Helper()
	for _, want := range []string{"1", "2"} {
		w := b.request(t, name, "GET", "/count", nil)
		got := strings.NewReplacer(`{"count":`, "", "}", "").Replace(w.Body.String())
		if w.Code != http.StatusOK || strings.TrimSpace(got) != want {
			t.Fatalf("/count answered %d %q, not %s; log: %s", w.Code, w.Body, want, b.log())
		}
	}
	if v, ok, err := b.store.Get(t.Context(), "count"); !ok || err != nil || string(v) != "2" {
		t.Errorf("the store has %q, %v, %v", v, ok, err)
	}
}

func (b *box) runsAJob(t *testing.T, name string) {
	t.Helper()
	due := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	err := b.Scheduled(t.Context(), name, model.ScheduledEvent{Job: "nightly", Cron: "0 3 * * *", ScheduledTime: due})
	if err != nil || !strings.Contains(b.log(), "nightly") || !strings.Contains(b.log(), "2026-11-23T03:00:00") {
		t.Errorf("the job ended with %v; log: %s", err, b.log())
	}
}

func TestTheExamplesNameEveryTemplate(t *testing.T) {
	page := readFile(t, "../../examples/functions/README.md")
	for _, template := range bundle.Templates() {
		if !strings.Contains(page, "templates/"+template.Name+")") {
			t.Errorf("examples/functions/README.md does not name %s", template.Name)
		}
	}
}

func TestABodyIsAnsweredWhileItIsSent(t *testing.T) {
	b := newBox(t)
	name := b.deploy(t, "echo", build(t, "go-wagi"))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.Serve(name, w, r, nil) }))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	from, to := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/echo", from)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(to, "first") }()
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	piece := make([]byte, 5)
	if _, err := io.ReadFull(answer.Body, piece); err != nil || string(piece) != "first" {
		t.Fatalf("read %q, %v; log: %s", piece, err, b.log())
	}
	rest := strings.Repeat("0123456789", 50000)
	go func() {
		_, _ = io.WriteString(to, rest)
		_ = to.Close()
	}()
	if all, err := io.ReadAll(answer.Body); err != nil || string(all) != rest {
		t.Errorf("%d bytes came back of %d: %v; log: %s", len(all), len(rest), err, b.log())
	}
}
