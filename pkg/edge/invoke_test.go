package edge

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/model"
)

func request(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestInvoke(t *testing.T) {
	s := newStage(t, map[string]actor{
		"echo": func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			c.Writer.Header().Set("X-Url", c.Request.Method+" "+c.Request.Host+c.Request.RequestURI)
			c.Writer.WriteHeader(http.StatusTeapot)
			c.Writer.Header().Set("X-Late", "too late")
			_, err := io.Copy(c.Writer, c.Request.Body)
			return nil, err
		},
		"silent": func(context.Context, *played, *guest.Call) (func(context.Context) error, error) { return nil, nil },
		"breaks": func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			_, _ = io.WriteString(c.Writer, "half")
			return nil, errors.New("it threw")
		},
		"bad": fails(errors.New("it threw")),
	})
	resp, err := s.Invoke(t.Context(), s.start("echo"), request(t, http.MethodPost, "https://hello.example/greet?name=Ada", "some body"))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || string(body) != "some body" || resp.StatusCode != http.StatusTeapot || resp.Header.Get("X-Late") != "" ||
		resp.Header.Get("X-Url") != "POST hello.example/greet?name=Ada" || resp.Body.Close() != nil {
		t.Errorf("%d %v %q, %v", resp.StatusCode, resp.Header, body, err)
	}
	for app, want := range map[string]int{"silent": 200, "bad": 500, "breaks": 200} {
		resp, err := s.Invoke(t.Context(), s.start(app), request(t, http.MethodGet, "http://x/", ""))
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%s: %v, %v", app, resp, err)
		}
		if _, err := io.ReadAll(resp.Body); (err != nil) != (app == "breaks") {
			t.Errorf("%s: %v", app, err)
		}
		_ = resp.Body.Close()
	}
	if _, err := s.Invoke(t.Context(), "nobody", request(t, http.MethodGet, "http://x/", "")); !isKind(err, model.KindNotFound) {
		t.Errorf("%v", err)
	}
}

// TestWhoClosesTheAnswerEndsTheCall also where the function is still writing.
func TestWhoClosesTheAnswerEndsTheCall(t *testing.T) {
	ended := make(chan error, 1)
	s := newStage(t, map[string]actor{"endless": func(_ context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
		for {
			if _, err := c.Writer.Write(make([]byte, 1000)); err != nil {
				ended <- err
				return nil, err
			}
		}
	}})
	resp, err := s.Invoke(t.Context(), s.start("endless", limits(model.FunctionLimits{Response: -1})), request(t, http.MethodGet, "http://x/", ""))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 10_000)); err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("it was never told")
	}
}

// TestFunctionsCallEachOther by internal names, without a connection, in their own environment only, and not for ever.
func TestFunctionsCallEachOther(t *testing.T) {
	fetch := func(ctx context.Context, c *guest.Call, url string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		r.Header.Set("Cdn-Loop", "nothing of the guest's")
		resp, err := c.World.Fetch(ctx, r)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		c.Writer.WriteHeader(resp.StatusCode)
		_, err = io.Copy(c.Writer, resp.Body)
		return err
	}
	s := newStage(t, map[string]actor{
		"hello": hello,
		"asks": func(ctx context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			return nil, fetch(ctx, c, "http://HELLO.internal./")
		},
		"circle": func(ctx context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			return nil, fetch(ctx, c, "http://circle.internal/")
		},
		"many": func(ctx context.Context, _ *played, c *guest.Call) (func(context.Context) error, error) {
			for {
				if err := fetch(ctx, c, "http://hello.internal/"); err != nil {
					return nil, err
				}
			}
		},
	})
	asks := s.start("asks")
	if got := s.get(asks); got.Code != 500 || !strings.Contains(s.log(), "env has no HELLO.internal") {
		t.Errorf("before it is there: %d", got.Code)
	}
	s.start("hello", func(c *model.ContainerSpec) { c.Name, c.Replica.EnvID = "elsewhere", "staging" })
	if got := s.get(asks); got.Code != 500 {
		t.Errorf("another environment's answered: %q", got.Body)
	}
	s.start("hello")
	if got := s.get(asks); got.Code != 200 || !strings.HasPrefix(got.Body.String(), "hello from") {
		t.Errorf("%d %q; %s", got.Code, got.Body, s.log())
	}
	s.log()
	if got := s.get(s.start("circle")); got.Code != http.StatusLoopDetected || !strings.Contains(s.log(), "in a circle") {
		t.Errorf("%d %q", got.Code, got.Body)
	}
	if n := s.find("w-circle-v1-g0-web-1").counts.requests.Load(); n != maxHops+1 {
		t.Errorf("it was called %d times", n)
	}
	many := s.start("many", limits(model.FunctionLimits{Subrequests: 3}))
	func() {
		defer func() { _ = recover() }() // its answer had begun
		s.get(many)
	}()
	if log := s.log(); !strings.Contains(log, "more than 3 requests") {
		t.Errorf("logged %q", log)
	}
	old := httptest.NewRequest(http.MethodGet, "/", nil)
	old.Header["Cdn-Loop"] = []string{strings.Repeat("pandabox;v=1, other, ", maxHops), "x"}
	w := httptest.NewRecorder()
	s.Serve(asks, w, old, nil)
	if w.Code != http.StatusLoopDetected {
		t.Errorf("a request that came around: %d", w.Code)
	}
}

func TestBundles(t *testing.T) {
	s := newStage(t, map[string]actor{"hello": hello})
	for name, bad := range map[string][]byte{"nothing": nil, "text": []byte("hello"), "half": tarOf("export default {}")[:1500], "syntax": tarOf("export default {")} {
		if _, err := s.Import(t.Context(), bytes.NewReader(bad)); !isKind(err, model.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Import(canceled, bytes.NewReader(tarOf("export default {}"))); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	used := s.spec("hello")
	if _, err := s.Start(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	var digests []string
	for _, main := range []string{"export default { a: 1 }", "export default { b: 1 }"} {
		b, err := s.Import(t.Context(), bytes.NewReader(tarOf(main)))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := s.Bundle(t.Context(), b.Digest); err != nil || again != b {
			t.Errorf("%+v, %v", again, err)
		}
		digests = append(digests, b.Digest)
	}
	if err := s.ReclaimBundles(nil); err != nil { // a deploy may be about to name them
		t.Fatal(err)
	}
	if _, err := s.Bundle(t.Context(), digests[1]); err != nil {
		t.Errorf("reclaimed at once: %v", err)
	}
	s.Host.cfg.Now = func() time.Time { return time.Now().Add(2 * bundleGrace) }
	if err := s.ReclaimBundles(digests[:1]); err != nil {
		t.Fatal(err)
	}
	for digest, kept := range map[string]bool{used.Function.Digest: true, digests[0]: true, digests[1]: false} {
		if _, err := s.Bundle(t.Context(), digest); (err == nil) != kept || !kept && !isKind(err, model.KindNotFound) {
			t.Errorf("%s: %v", digest, err)
		}
	}
	if _, err := s.Bundle(t.Context(), "sha256:../../etc/passwd"); !isKind(err, model.KindInvalid) {
		t.Errorf("%v", err)
	}
}
