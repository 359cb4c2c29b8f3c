//go:build linux

package wagi_test

import (
	"context"
	_ "embed"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/bindings"
	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/guesttest"
	"github.com/pandabox/pandabox/pkg/edge/vm"
	"github.com/pandabox/pandabox/pkg/edge/wagi"
	"github.com/pandabox/pandabox/pkg/model"
)

//go:embed testdata/probe.wasm
var probe []byte

func engine(t testing.TB) *wagi.Engine {
	t.Helper()
	m, err := vm.New(t.Context(), vm.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := bindings.Register(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return wagi.New(m)
}

func handler(t testing.TB, env map[string]string, l model.FunctionLimits) *guesttest.Handler {
	t.Helper()
	p, err := engine(t).Open(t.Context(), guest.Code{Main: probe, Env: env, Function: model.Function{Limits: l}})
	if err != nil {
		t.Fatal(err)
	}
	return guesttest.NewHandler(t, p, l)
}

func call(t *testing.T, h http.Handler, method, target string, body io.Reader) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), method, target, body)
	r.Header.Set("X-Test", "one")
	r.Header.Add("X-Test", "two")
	r.Header.Set("Proxy", "http://evil.example")
	r.Header.Set("Secret", "no")
	r.Header["A_b"] = []string{"no"}
	h.ServeHTTP(w, r)
	return w
}

func TestTheRequestIsInTheEnvironment(t *testing.T) {
	h := handler(t, map[string]string{"GREETING": "hi", "HTTP_SECRET": "mine"}, model.FunctionLimits{})
	w := call(t, h, "POST", "http://shop.example:8443/e/p%20q?a=b&c", strings.NewReader("12345"))
	got := strings.Split(strings.TrimSuffix(w.Body.String(), "\x00"), "\x00")
	for _, want := range []string{
		"GATEWAY_INTERFACE=CGI/1.1", "REQUEST_METHOD=POST", "PATH_INFO=/e/p q", "SCRIPT_NAME=", "QUERY_STRING=a=b&c",
		"REQUEST_URI=/e/p%20q?a=b&c", "SERVER_NAME=shop.example", "SERVER_PORT=8443", "SERVER_PROTOCOL=HTTP/1.1",
		"CONTENT_LENGTH=5", "HTTP_X_TEST=one, two", "HTTP_HOST=shop.example:8443", "REMOTE_ADDR=192.0.2.1",
		"GREETING=hi", "HTTP_SECRET=mine",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not in %q", want, got)
		}
	}
	for _, line := range got {
		if strings.HasPrefix(line, "HTTP_PROXY=") || strings.HasPrefix(line, "HTTP_A_B=") {
			t.Errorf("%s is there", line)
		}
	}
}

func TestAnswers(t *testing.T) {
	h := handler(t, nil, model.FunctionLimits{})
	w := call(t, h, "GET", "/n", nil)
	if w.Code != 404 || w.Body.String() != "none" || w.Header().Get("X-A") != "b" {
		t.Errorf("a status: %d %v %q", w.Code, w.Header(), w.Body)
	}
	if w = call(t, h, "GET", "/r", nil); w.Code != 302 || w.Header().Get("Location") != "/there" {
		t.Errorf("a redirect: %d %v", w.Code, w.Header())
	}
	if w = call(t, h, "GET", "/k", nil); w.Code != 404 || len(h.Errors()) > 0 {
		t.Errorf("exit code 0: %d, %v", w.Code, h.Errors())
	}
	if v, ok, _ := h.World.Get(t.Context(), "kept"); !ok || string(v) != "kept" {
		t.Errorf("kept %q, %v", v, ok)
	}
	if w = call(t, h, "GET", "/p", nil); w.Code != 200 {
		t.Errorf("a file could be opened: %d", w.Code)
	}
}

func TestABodyIsStreamedBack(t *testing.T) {
	h := handler(t, nil, model.FunctionLimits{})
	server := httptest.NewServer(h)
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	from, to := io.Pipe()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/o", from)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = to.Write([]byte("first")) }()
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b := make([]byte, 5)
	if _, err := io.ReadFull(answer.Body, b); err != nil || string(b) != "first" {
		t.Fatalf("read %q, %v", b, err)
	}
	rest := strings.Repeat("0123456789", 10000)
	go func() {
		_, _ = io.WriteString(to, rest)
		_ = to.Close()
	}()
	if all, err := io.ReadAll(answer.Body); err != nil || string(all) != rest {
		t.Errorf("%d bytes came back of %d: %v", len(all), len(rest), err)
	}
}

func TestWrongCommandsAreEnded(t *testing.T) {
	h := handler(t, nil, model.FunctionLimits{CPU: model.Duration(50 * time.Millisecond)})
	for path, want := range map[string]string{
		"/b": "does not answer as CGI programs do", "/l": "printed no answer", "/x": "exit code 3", "/u": "unreachable",
		"/s": guest.ErrCPU.Error(),
	} {
		before := len(h.Errors())
		w := call(t, h, "GET", path, nil)
		errs := h.Errors()[before:]
		if w.Code != 500 || len(errs) != 1 || !strings.Contains(errs[0].Error(), want) {
			t.Errorf("%s: answered %d, %v", path, w.Code, errs)
		}
	}
	if got := h.World.Lines(); !slices.Equal(got, []string{"stderr: a line of log"}) {
		t.Errorf("logged %q", got)
	}
}

func TestAJob(t *testing.T) {
	h := handler(t, map[string]string{"A": "b"}, model.FunctionLimits{})
	if err := h.Scheduled(t.Context(), model.ScheduledEvent{Job: "nightly"}); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(h.World.Lines(), "|"); !strings.Contains(got, wagi.Scheduled+`={"cron":"","job":"nightly"`) {
		t.Errorf("logged %q", got)
	}
}

func TestHandlersAreNoCommands(t *testing.T) {
	_, err := engine(t).Open(t.Context(), guest.Code{Main: []byte("\x00asm\x01\x00\x00\x00")})
	var m *model.Error
	if !errors.As(err, &m) || !strings.Contains(m.What, "does not export _start") {
		t.Errorf("opened: %v", err)
	}
}

func BenchmarkHello(b *testing.B) {
	h := handler(b, nil, model.FunctionLimits{})
	b.ReportAllocs()
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(b.Context(), "GET", "/n", nil))
		if w.Code != 404 {
			b.Fatal(w.Code)
		}
	}
}

// full is a client that takes the head and nothing else.
type full struct{ *httptest.ResponseRecorder }

var errFull = errors.New("no more")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestACommandEndsWhenItsAnswerCannotBeSent(t *testing.T) {
	h := handler(t, nil, model.FunctionLimits{})
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/o", strings.NewReader(strings.Repeat("x", 1<<20)))
	h.ServeHTTP(full{httptest.NewRecorder()}, r)
	if errs := h.Errors(); len(errs) != 1 || !errors.Is(errs[0], errFull) {
		t.Errorf("ended with %v", errs)
	}
}

// stalled is a body that comes to an end with its request.
type stalled struct{ ctx context.Context }

func (s stalled) Read([]byte) (int, error) {
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func TestACommandEndsWithItsTimeWhileItReads(t *testing.T) {
	h := handler(t, nil, model.FunctionLimits{Timeout: model.Duration(100 * time.Millisecond)})
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/o", stalled{ctx}))
	if errs := h.Errors(); len(errs) != 1 || !errors.Is(errs[0], guest.ErrTimeout) {
		t.Errorf("ended with %v", errs)
	}
}
