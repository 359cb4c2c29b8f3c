package client

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/api"
	"github.com/pandabox/pandabox/pkg/model"
)

func open(t *testing.T, config Config) *Client {
	t.Helper()
	c, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAddresses(t *testing.T) {
	for address, ok := range map[string]bool{
		"": true, "unix:///run/pandabox/pandabox.sock": true, "https://box.example.com": true, "https://box.example.com/": true, "http://[::1]:8080": true,
		"box.example.com": false, "ftp://box": false, "unix://relative": false, "https://": false, "https://box/path": false,
		"https://user:secret@box": false, "https://box?x=1": false, "https://box#x": false, "https://%": false,
	} {
		_, err := New(Config{Address: address})
		if (err == nil) != ok {
			t.Errorf("%q: %v", address, err)
		}
		if err != nil && model.KindOf(err) != model.KindInvalid {
			t.Errorf("%q: %v is not invalid", address, err)
		}
	}
	if _, err := New(Config{CA: []byte("nonsense")}); model.KindOf(err) != model.KindInvalid {
		t.Errorf("a CA that is none: %v", err)
	}
}

func TestBoxThatIsNotThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for name, address := range map[string]string{
		"no socket": "unix://" + filepath.Join(t.TempDir(), "none"), "closed port": "http://" + closed, "no such name": "https://box.invalid",
	} {
		t.Run(name, func(t *testing.T) {
			c := open(t, Config{Address: address})
			for what, call := range map[string]func() error{
				"info": func() error { _, err := c.Info(t.Context()); return err },
				"exec": func() error {
					_, err := c.Exec(t.Context(), Ref{App: "a"}, "", 0, model.ExecSpec{Command: []string{"x"}})
					return err
				},
				"events": func() error { return c.Events(t.Context(), 0, nil) },
				"image":  func() error { _, err := c.ImportImage(t.Context(), strings.NewReader("x"), nil); return err },
			} {
				err := call()
				var e *model.Error
				if !errors.As(err, &e) || e.Kind != model.KindUnavailable || !strings.Contains(e.Hint, "systemctl status pandabox") || !strings.Contains(e.What, address) {
					t.Errorf("%s: %#v", what, err)
				}
			}
		})
	}
}

func TestUnknownCertificate(t *testing.T) {
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	_, err := open(t, Config{Address: s.URL}).Info(t.Context())
	var e *model.Error
	if !errors.As(err, &e) || e.Kind != model.KindUnavailable || !strings.Contains(e.Hint, "--ca") {
		t.Errorf("got %#v", err)
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	_, err = open(t, Config{Address: s.URL, CA: ca}).Info(t.Context())
	if model.KindOf(err) != model.KindNotFound {
		t.Errorf("with the CA: %v", err)
	}
}

func TestAnswersThatAreNotOfABox(t *testing.T) {
	for name, k := range map[string]struct {
		status int
		header string
		body   string
		kind   model.Kind
	}{
		"a proxy's page":    {502, "text/html", "<h1>Bad Gateway</h1>", model.KindUnavailable},
		"a redirect":        {302, "text/html", "", model.KindInvalid},
		"a page":            {200, "text/html", "<h1>Hello</h1>", model.KindUnavailable},
		"half a problem":    {404, api.ProblemType, `{"title":`, model.KindNotFound},
		"an empty problem":  {403, api.ProblemType, `{}`, model.KindForbidden},
		"a login":           {401, "text/plain", "", model.KindUnauthenticated},
		"a problem":         {409, api.ProblemType, `{"title":"taken","status":409,"kind":"conflict","hint":"choose another"}`, model.KindConflict},
		"a later kind":      {418, api.ProblemType, `{"title":"tea","status":418,"kind":"teapot"}`, "teapot"},
		"an answer cut off": {200, "application/json", `{"version":"1`, model.KindUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", k.header)
				if k.status == http.StatusFound {
					w.Header().Set("Location", "https://elsewhere.invalid/")
				}
				w.WriteHeader(k.status)
				_, _ = io.WriteString(w, k.body)
			}))
			defer s.Close()
			_, err := open(t, Config{Address: s.URL, Token: "pbx_secret"}).Info(t.Context())
			if model.KindOf(err) != k.kind || strings.Contains(err.Error(), "pbx_secret") {
				t.Errorf("got %v of kind %s, want %s", err, model.KindOf(err), k.kind)
			}
		})
	}
}

func TestEndOfPatience(t *testing.T) {
	hang := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer s.Close()
	defer close(hang)
	c := open(t, Config{Address: s.URL})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Info(ctx); model.KindOf(err) != model.KindTimeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a deadline: %v", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, err := c.Info(ctx); model.KindOf(err) != model.KindCanceled || !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

func TestRequestsAreWellFormed(t *testing.T) {
	var got *http.Request
	var body map[string]any
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got, body = r, nil
		_ = json.NewDecoder(r.Body).Decode(&body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"unknownToThisClient":1}`)
	}))
	defer s.Close()
	c := open(t, Config{Address: s.URL, Token: "pbx_t", Org: "acme", UserAgent: "test/1"})
	if _, err := c.CreateDeploy(t.Context(), Ref{App: "a/../b", Env: "x y"}, api.NewDeploy{Image: model.Image{Ref: "r"}, IdempotencyKey: "k"}); err != nil {
		t.Fatal(err)
	}
	if got.URL.EscapedPath() != "/v1/orgs/acme/apps/a%2F..%2Fb/envs/x%20y/deploys" {
		t.Errorf("the path is %s", got.URL.EscapedPath())
	}
	for name, want := range map[string]string{"Authorization": "Bearer pbx_t", "User-Agent": "test/1", "Idempotency-Key": "k", "Content-Type": "application/json"} {
		if got.Header.Get(name) != want {
			t.Errorf("%s is %q", name, got.Header.Get(name))
		}
	}
	if len(body) != 1 || body["image"] == nil {
		t.Errorf("the body is %v", body)
	}
	keys := map[string]bool{}
	for range 2 {
		if _, err := c.Restart(t.Context(), Ref{App: "a"}, api.DeployOptions{}); err != nil {
			t.Fatal(err)
		}
		keys[got.Header.Get("Idempotency-Key")] = true
	}
	if len(keys) != 2 || keys[""] {
		t.Errorf("the keys of two requests are %v", keys)
	}
}

func TestAllGoesThroughEveryPage(t *testing.T) {
	pages := map[string]api.List[int]{"": {Items: []int{1, 2}, Next: "x"}, "x": {Items: []int{}, Next: "y"}, "y": {Items: []int{3}}}
	list := func(_ context.Context, p api.Page) (api.List[int], error) {
		l, ok := pages[p.After]
		if !ok {
			return l, errors.New("no such page")
		}
		return l, nil
	}
	var got []int
	for n, err := range All(t.Context(), list) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	if !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("got %v", got)
	}
	delete(pages, "y")
	var last error
	for _, last = range All(t.Context(), list) {
	}
	if last == nil {
		t.Error("the error of a later page is lost")
	}
	for n, err := range All(t.Context(), list) {
		if n == 1 && err == nil {
			break
		}
		t.Errorf("got %d, %v", n, err)
	}
}

func TestServerSentEvents(t *testing.T) {
	in := ": alive\n\nid: 1\nevent: deploy\ndata: {\"seq\":1}\n\nid:2\r\ndata: a\r\ndata:  b\r\n\r\nevent: lonely\n\ndata: last\n\ndata: cut"
	var got []string
	if err := readEvents(strings.NewReader(in), func(m message) error {
		got = append(got, fmt.Sprintf("%s|%s|%s", m.id, m.event, m.data))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if want := []string{`1|deploy|{"seq":1}`, "2||a\n b", "||last"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWindow(t *testing.T) {
	w := newWindow(10)
	if n, err := w.take(t.Context(), 7); n != 7 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := w.take(t.Context(), 7); n != 3 || err != nil {
		t.Fatal(n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.take(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a shut window: %v", err)
	}
	w.open(5)
	if n, err := w.take(t.Context(), 9); n != 5 || err != nil {
		t.Error(n, err)
	}
}
