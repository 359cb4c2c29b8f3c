//go:build linux

package httpwasm_test

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/http-wasm/http-wasm-host-go/tck"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/guesttest"
	"github.com/pandabox/pandabox/pkg/edge/httpwasm"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/model"
)

//go:embed testdata/hello.wasm
var hello []byte

//go:embed testdata/probe.wasm
var probe []byte

func engine(t testing.TB) *httpwasm.Engine {
	t.Helper()
	ctx := t.Context()
	m, err := vm.New(ctx, vm.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := bindings.Register(ctx, m); err != nil {
		t.Fatal(err)
	}
	e, err := httpwasm.New(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func handler(t testing.TB, wasm []byte, env map[string]string, l model.FunctionLimits) *guesttest.Handler {
	t.Helper()
	p, err := engine(t).Open(t.Context(), guest.Code{Main: wasm, Env: env, Function: model.Function{Limits: l}})
	if err != nil {
		t.Fatal(err)
	}
	return guesttest.NewHandler(t, p, l)
}

// call makes a request of a handler without a server.
func call(t *testing.T, h http.Handler, method, target string, body io.Reader) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, target, body)
	r.Header.Set("X-Test", "one")
	r.Header.Add("X-Test", "two")
	h.ServeHTTP(w, r)
	return w
}

func TestTheConformanceKitPasses(t *testing.T) {
	h := handler(t, tck.GuestWASM, nil, model.FunctionLimits{})
	h.Next = tck.BackendHandler()
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			server := httptest.NewUnstartedServer(h)
			if server.EnableHTTP2 = version == "HTTP/2.0"; server.EnableHTTP2 {
				server.StartTLS()
			} else {
				server.Start()
			}
			t.Cleanup(server.Close)
			tck.Run(t, server.Client(), server.URL)
		})
	}
	t.Cleanup(func() { // the kit's tests are parallel: they run when this one has returned
		if errs := h.Errors(); len(errs) > 0 {
			t.Error(errors.Join(errs...))
		}
	})
}

func TestAHelloIsAnswered(t *testing.T) {
	h := handler(t, hello, nil, model.FunctionLimits{})
	for range 3 {
		w := call(t, h, "GET", "/", nil)
		if w.Code != 200 || w.Body.String() != "hello" || w.Header().Get("Content-Type") != "text/plain" {
			t.Fatalf("answered %d %v %q; %v", w.Code, w.Header(), w.Body, h.Errors())
		}
	}
}

func TestWhatAGuestMayAskFor(t *testing.T) {
	h := handler(t, probe, map[string]string{"GREETING": "hi"}, model.FunctionLimits{})
	for path, want := range map[string]string{
		"/e": `{"GREETING":"hi"}`,
		"/h": "host\x00x-test\x00one\x00two\x00",
		"/k": "a valuekeythere is no such key",
	} {
		if w := call(t, h, "GET", path, nil); w.Code != 200 || w.Body.String() != want {
			t.Errorf("%s: answered %d %q, not %q; %v", path, w.Code, w.Body, want, h.Errors())
		}
	}
	call(t, h, "GET", "/l", nil)
	if got := strings.Join(h.World.Lines(), "|"); got != "stdout: a value|stderr: key" {
		t.Errorf("logged %q", got)
	}
}

func TestABodyIsStreamedBack(t *testing.T) {
	h := handler(t, probe, nil, model.FunctionLimits{})
	body := strings.Repeat("0123456789", 5000)
	for name, r := range map[string]io.Reader{"known length": strings.NewReader(body), "chunked": struct{ io.Reader }{strings.NewReader(body)}} {
		if w := call(t, h, "POST", "/o", r); w.Body.String() != body {
			t.Errorf("%s: %d bytes came back of %d; %v", name, w.Body.Len(), len(body), h.Errors())
		}
	}
}

func TestAPieceIsHandedOnAsItComes(t *testing.T) {
	h := handler(t, probe, nil, model.FunctionLimits{})
	server := httptest.NewServer(h)
	defer server.Close()
	from, to := io.Pipe()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/o", from)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = to.Write([]byte("first")) }()
	answer, err := server.Client().Do(r) // comes back only if the head is sent while the body is still open
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b := make([]byte, 5)
	if _, err := io.ReadFull(answer.Body, b); err != nil || string(b) != "first" {
		t.Fatalf("read %q, %v", b, err)
	}
	_ = to.Close()
}

func TestStateLivesOnUntilItIsReset(t *testing.T) {
	h := handler(t, probe, nil, model.FunctionLimits{})
	for _, want := range []string{"1", "2", "3"} {
		if w := call(t, h, "GET", "/c", nil); w.Body.String() != want {
			t.Errorf("counted %q, not %q", w.Body, want)
		}
	}
	h.Fresh = true
	for range 3 {
		if w := call(t, h, "GET", "/c", nil); w.Body.String() != "1" {
			t.Errorf("counted %q after a reset; %v", w.Body, h.Errors())
		}
	}
}

func TestTheNextHandler(t *testing.T) {
	h := handler(t, probe, nil, model.FunctionLimits{})
	h.Next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		_, _ = w.Write([]byte(r.URL.RequestURI() + " got " + string(b)))
	})
	if w := call(t, h, "GET", "/n?a=b", nil); w.Body.String() != "/n?a=b got " || len(h.World.Lines()) != 1 {
		t.Errorf("answered %q, logged %q", w.Body, h.World.Lines())
	}
	w := call(t, h, "POST", "/r", strings.NewReader("body"))
	if w.Code != 201 || w.Body.String() != "/r got body/r got body" || w.Header().Get("Content-Length") != "22" {
		t.Errorf("answered %d %q %v; %v", w.Code, w.Body, w.Header(), h.Errors())
	}
	if call(t, h, "GET", "/a", nil); len(h.Errors()) != 1 || !strings.Contains(h.Errors()[0].Error(), "buffer_response") {
		t.Errorf("changing an answer that was not held: %v", h.Errors())
	}
}

func TestAnAnswerTooLargeToHoldFails(t *testing.T) {
	h := handler(t, probe, nil, model.FunctionLimits{Memory: model.MinFunctionMemory})
	h.Next = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, bytes.NewReader(make([]byte, 5<<20)))
	})
	h.World.Client = nil
	if w := call(t, h, "POST", "/r", strings.NewReader("x")); w.Code != 201 { // the guest replaces it with what it read
		t.Errorf("answered %d; %v", w.Code, h.Errors())
	}
}

func TestNothingBehindIsNotFound(t *testing.T) {
	h := handler(t, probe, nil, model.FunctionLimits{})
	w := call(t, h, "GET", "/n", nil)
	if lines := h.World.Lines(); w.Code != 404 || len(lines) != 2 || !strings.Contains(lines[0], "middleware = true") {
		t.Errorf("answered %d, logged %q", w.Code, lines)
	}
}

func TestWrongGuestsAreEnded(t *testing.T) {
	limits := model.FunctionLimits{CPU: model.Duration(50 * time.Millisecond)}
	for path, want := range map[string]string{
		"/x": "the guest named 100 bytes at 0xfffa of a memory of 65536",
		"/y": "the guest named 4294967295 bytes",
		"/b": "line break",
		"/d": "more than 256 kB of headers",
		"/u": "unreachable",
		"/s": guest.ErrCPU.Error(),
		"/v": "the status cannot become 404",
	} {
		h := handler(t, probe, nil, limits)
		w := call(t, h, "GET", path, nil)
		if errs := h.Errors(); len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%s: %v, not %q", path, errs, want)
		}
		if w.Code != 500 && path != "/v" {
			t.Errorf("%s: answered %d", path, w.Code)
		}
		if w := call(t, h, "GET", "/c", nil); w.Body.String() != "1" {
			t.Errorf("after %s: answered %q", path, w.Body)
		}
	}
}

func TestFetch(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Sent")+strings.Repeat("!", 30))
	}))
	defer origin.Close()
	h := handler(t, probe, nil, model.FunctionLimits{})
	w := call(t, h, "GET", "/f?"+origin.URL+"/there", nil)
	if w.Code != 502 || !strings.Contains(w.Body.String(), "not allowed") {
		t.Errorf("forbidden: answered %d %q", w.Code, w.Body)
	}
	h.World.Client = origin.Client()
	w = call(t, h, "GET", "/f?"+origin.URL+"/there", nil)
	if want := "GET /there yes" + strings.Repeat("!", 30); w.Code != 418 || w.Body.String() != want {
		t.Errorf("answered %d %q; %v", w.Code, w.Body, h.Errors())
	}
	if w = call(t, h, "GET", "/f?:bad", nil); w.Code != 502 {
		t.Errorf("a wrong URL: answered %d %q", w.Code, w.Body)
	}
}

func TestAFetchEndsWithItsCall(t *testing.T) {
	origin := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer origin.Close()
	h := handler(t, probe, nil, model.FunctionLimits{Timeout: model.Duration(100 * time.Millisecond)})
	h.World.Client = origin.Client()
	w := call(t, h, "GET", "/f?"+origin.URL, nil)
	if errs := h.Errors(); w.Code != 500 || len(errs) != 1 || !errors.Is(errs[0], guest.ErrTimeout) {
		t.Errorf("answered %d: %v", w.Code, errs)
	}
}

func TestATrailer(t *testing.T) {
	h := handler(t, probe, nil, model.FunctionLimits{})
	server := httptest.NewServer(h)
	defer server.Close()
	answer, err := server.Client().Get(server.URL + "/t")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if b, _ := io.ReadAll(answer.Body); string(b) != "key" || answer.Trailer.Get("X-Test") != "trailer" {
		t.Errorf("read %q, trailer %v; %v", b, answer.Trailer, h.Errors())
	}
}

func TestAJob(t *testing.T) {
	due := time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
	h := handler(t, probe, nil, model.FunctionLimits{})
	if err := h.Scheduled(t.Context(), model.ScheduledEvent{Job: "nightly", Cron: "0 3 * * *", ScheduledTime: due}); err != nil {
		t.Fatal(err)
	}
	if got := h.World.Lines(); len(got) != 1 || got[0] != `stdout: {"cron":"0 3 * * *","job":"nightly","scheduledTime":"2026-11-23T03:00:00Z"}` {
		t.Errorf("logged %q", got)
	}
	h = handler(t, hello, nil, model.FunctionLimits{})
	if err := h.Scheduled(t.Context(), model.ScheduledEvent{}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("without a handler: %v", err)
	}
}

func TestModulesOfOtherHostsAreRefused(t *testing.T) {
	e := engine(t)
	for name, wasm := range map[string][]byte{
		"component": []byte("\x00asm\x0d\x00\x01\x00"), "text": []byte("(module)"), "cut off": probe[:500], "nothing": nil,
	} {
		_, err := e.Open(t.Context(), guest.Code{Main: wasm})
		var m *model.Error
		if !errors.As(err, &m) || m.Kind != model.KindInvalid || m.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func BenchmarkHello(b *testing.B) {
	h := handler(b, hello, nil, model.FunctionLimits{})
	r := httptest.NewRequestWithContext(b.Context(), "GET", "/", nil)
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}
