package edge

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

func fails(err error) actor {
	return func(context.Context, *played, *guest.Call) (func(context.Context) error, error) { return nil, err }
}

// waits until the call ends.
func waits(ctx context.Context, _ *played, _ *guest.Call) (func(context.Context) error, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestFailuresTellTheClientNothing(t *testing.T) {
	for name, test := range map[string]struct {
		act    actor
		status int
		log    string
	}{
		"exception": {fails(errors.New("TypeError: secret of src/index.ts:3")), 500, "error: GET /path: TypeError: secret"},
		"cpu":       {fails(fmt.Errorf("running secret: %w", guest.ErrCPU)), 503, "more CPU time than limits.cpu allows, 1s"},
		"memory":    {fails(guest.ErrMemory), 503, "more memory than limits.memory allows, 64 MB"},
		"timeout":   {waits, 504, "took longer than limits.timeout allows, 20ms"},
		"panic":     {func(context.Context, *played, *guest.Call) (func(context.Context) error, error) { panic("secret") }, 500, "a defect of pandabox"},
		"status": {func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			c.Writer.Header().Set("X-Secret", "secret")
			c.Writer.WriteHeader(42)
			return nil, nil
		}, 500, "42 is no status"},
		"announced": {func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			c.Writer.Header().Set("Content-Length", "2000")
			_, err := c.Writer.Write([]byte("secret"))
			return nil, err
		}, 500, "longer than limits.response allows, 1 KB"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, map[string]actor{"bad": test.act, "hello": hello})
			bad := s.start("bad", limits(model.FunctionLimits{Timeout: model.Duration(20 * time.Millisecond), Response: 1 << 10}))
			got := s.get(bad)
			if got.Code != test.status || strings.Contains(got.Body.String()+fmt.Sprint(got.Header()), "ecret") {
				t.Errorf("answered %d %q %v", got.Code, got.Body, got.Header())
			}
			if log := s.log(); !strings.Contains(log, test.log) || strings.Count(log, "\n") > 0 {
				t.Errorf("logged %q", log)
			}
			if made, closed := s.e.made.Load(), s.e.closed.Load(); made != 1 || closed != 1 {
				t.Errorf("%d isolates made, %d thrown away", made, closed)
			}
			if u, ok := s.Usage(bad); !ok || u.Requests != 1 || u.Errors != 1 || u.Running != 0 || u.Isolates != 0 {
				t.Errorf("%+v", u)
			}
			if got := s.get(s.start("hello")); got.Code != 200 {
				t.Errorf("another function then answers %d", got.Code)
			}
		})
	}
	s := newStage(t, nil)
	if got := s.get("nobody"); got.Code != 503 || got.Header().Get("Retry-After") == "" {
		t.Errorf("a function that is not there: %d", got.Code)
	}
}

// served is a function behind a real server.
func served(t *testing.T, s *stage, name string, next http.Handler) *httptest.Server {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.Serve(name, w, r, next) }))
	t.Cleanup(server.Close)
	return server
}

func TestAnAnswerThatIsTooLongIsCut(t *testing.T) {
	s := newStage(t, map[string]actor{"flood": func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
		for { // it does not look at the error of all but one write in a thousand
			for range 1000 {
				_, _ = c.Writer.Write(make([]byte, 1000))
			}
			if _, err := c.Writer.Write([]byte("x")); err != nil {
				return nil, nil
			}
		}
	}})
	server := served(t, s, s.start("flood", limits(model.FunctionLimits{Response: 100_000})), nil)
	resp, err := http.Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err == nil || len(body) > 100_000 {
		t.Errorf("%d bytes came, %v", len(body), err)
	}
	if log := s.log(); !strings.Contains(log, "it was cut off") {
		t.Errorf("logged %q", log)
	}
}

// TestASlowClientDoesNotHoldTheCall: a client that neither sends nor reads is cut when the call's time is up.
func TestASlowClientDoesNotHoldTheCall(t *testing.T) {
	for name, act := range map[string]actor{
		"reading": func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			_, err := io.Copy(io.Discard, c.Request.Body)
			return nil, err
		},
		"writing": func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			for {
				if _, err := c.Writer.Write(make([]byte, 1<<20)); err != nil {
					return nil, err
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, map[string]actor{"slow": act})
			server := served(t, s, s.start("slow", limits(model.FunctionLimits{Timeout: model.Duration(100 * time.Millisecond), Response: -1})), nil)
			conn, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome of it"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the call ends", func() bool { u, _ := s.Usage("w-slow-v1-g0-web-1"); return u.Running == 0 && u.Errors == 1 })
			if log := s.log(); !strings.Contains(log, "limits.timeout") {
				t.Errorf("logged %q", log)
			}
		})
	}
}

func TestAClientThatGoesAwayEndsTheCall(t *testing.T) {
	began, ended := make(chan struct{}), make(chan struct{})
	s := newStage(t, map[string]actor{"waits": func(ctx context.Context, i *played, c *guest.Call) (func(context.Context) error, error) {
		close(began)
		defer close(ended)
		return waits(ctx, i, c)
	}})
	name := s.start("waits")
	server := served(t, s, name, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() { <-began; cancel() }()
	if _, err := http.DefaultClient.Do(r); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	<-ended
	eventually(t, "the call is over", func() bool { u, _ := s.Usage(name); return u.Running == 0 })
	if u, _ := s.Usage(name); u.Errors != 0 || s.log() != "" {
		t.Errorf("it counts as %d errors of the function", u.Errors)
	}
}

func TestMiddleware(t *testing.T) {
	pass := func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
		c.Writer.Header().Set("X-Seen", "yes")
		c.Next.ServeHTTP(c.Writer, c.Request)
		return nil, nil
	}
	s := newStage(t, map[string]actor{"pass": pass})
	name := s.start("pass", limits(model.FunctionLimits{Response: 10}))
	for _, test := range []struct {
		what string
		next http.HandlerFunc
		want string
	}{
		{"a long answer of the app", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, strings.Repeat("x", 1000)) }, strings.Repeat("x", 1000)},
		{"an answer the app breaks off", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "x")
			panic(http.ErrAbortHandler)
		}, ""},
		{"a panic", func(http.ResponseWriter, *http.Request) { panic("of the proxy") }, ""},
	} {
		resp, err := http.Get(served(t, s, name, test.next).URL)
		if err != nil {
			if test.want != "" {
				t.Errorf("%s: %v", test.what, err)
			}
			continue
		}
		body, err := io.ReadAll(resp.Body)
		if test.want == "" && err == nil && resp.StatusCode < 500 {
			t.Errorf("%s: %d %q", test.what, resp.StatusCode, body)
		}
		if test.want != "" && (string(body) != test.want || resp.Header.Get("X-Seen") != "yes") {
			t.Errorf("%s: %q, %v", test.what, body, err)
		}
	}
	if got := s.get(s.start("pass")); got.Code != 500 { // it is no middleware here: its own nil pointer
		t.Errorf("without anything behind it: %d", got.Code)
	}
}

func TestWhatAGuestPrintsIsBounded(t *testing.T) {
	s := newStage(t, map[string]actor{"prints": func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
		for range 100 {
			c.World.Log("stdout", "123456789")
		}
		return nil, nil
	}})
	name := s.start("prints", limits(model.FunctionLimits{Log: 50}))
	for range 2 { // each call anew
		s.get(name)
		if log := s.log(); strings.Count(log, "stdout: 123456789") != 5 || strings.Count(log, "\n") != 5 || !strings.HasSuffix(log, "printed more than 50 bytes") {
			t.Errorf("logged %q", log)
		}
	}
}

func TestScheduled(t *testing.T) {
	s := newStage(t, map[string]actor{"hello": func(context.Context, *played, *guest.Call) (func(context.Context) error, error) { return nil, nil },
		"bad": fails(errors.New("it threw")), "waits": waits})
	ctx, e := t.Context(), model.ScheduledEvent{Job: "nightly"}
	if err := s.Scheduled(ctx, s.start("hello"), e); err != nil {
		t.Error(err)
	}
	if err := s.Scheduled(ctx, s.start("bad"), e); err == nil || !strings.Contains(err.Error(), "it threw") {
		t.Errorf("%v", err)
	}
	if log := s.log(); !strings.Contains(log, "error: scheduled nightly: it threw") {
		t.Errorf("logged %q", log)
	}
	short := s.start("waits", limits(model.FunctionLimits{Timeout: model.Duration(10 * time.Millisecond)}))
	if err := s.Scheduled(ctx, short, e); !isKind(err, model.KindTimeout) {
		t.Errorf("%v", err)
	}
	if err := s.Scheduled(ctx, short, model.ScheduledEvent{Job: "none"}); !isKind(err, model.KindInvalid) {
		t.Errorf("%v", err)
	}
	if err := s.Scheduled(ctx, "nobody", e); !isKind(err, model.KindNotFound) {
		t.Errorf("%v", err)
	}
}
