package proxy

import (
	"net/http"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func TestRouting(t *testing.T) {
	p := start(t, func(c *Config) { c.APIHandler = hello("api") })
	c := client(t, p)
	shop, blog := app(t, "shop-1", hello("shop")), app(t, "blog-1", hello("blog"))
	state := func(host string, s model.RouteState) model.Route {
		return model.Route{Host: host, WorkloadID: host, State: s}
	}
	plain := serving("plain.localhost", shop)
	plain.TLS = model.TLSOff
	publish(t, p, serving("shop.localhost", shop), serving("*.blog.localhost", blog), plain,
		state("new.localhost", model.RouteStarting), state("down.localhost", model.RouteDown), state("off.localhost", model.RouteStopped))

	tests := []struct {
		url    string
		status int
		body   string
	}{
		{"https://shop.localhost/", 200, "shop"},
		{"https://SHOP.localhost/", 200, "shop"},
		{"https://any.blog.localhost/", 200, "blog"},
		{"https://box.localhost/", 200, "api"},
		{"https://localhost/", 200, "api"},
		{"https://127.0.0.1/", 200, "api"},
		{"http://127.0.0.1/", 200, "api"},
		{"http://plain.localhost/", 200, "shop"},
		{"https://new.localhost/", 503, "Starting"},
		{"https://down.localhost/", 503, "down"},
		{"https://off.localhost/", 503, "stopped"},
		{"http://unknown.localhost/", 404, "No such app"},
		{"http://deep.any.blog.localhost/", 404, "No such app"},
	}
	for _, tt := range tests {
		status, body := fetch(t, c, tt.url)
		if status != tt.status || !strings.Contains(body, tt.body) {
			t.Errorf("GET %s: %d %q, want %d %q", tt.url, status, body, tt.status, tt.body)
		}
	}
}

func TestRedirect(t *testing.T) {
	p := start(t)
	c := client(t, p)
	publish(t, p, serving("shop.localhost", app(t, "shop-1", hello("shop"))))
	for method, status := range map[string]int{"GET": 301, "HEAD": 301, "POST": 308} {
		req, err := http.NewRequestWithContext(t.Context(), method, "http://shop.localhost/a?b=c", nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		want := "https://shop.localhost" + p.HTTPSAddr().String()[len("127.0.0.1"):] + "/a?b=c"
		if res.StatusCode != status || res.Header.Get("Location") != want {
			t.Errorf("%s: %d to %q, want %d to %q", method, res.StatusCode, res.Header.Get("Location"), status, want)
		}
	}
}

func TestForeignNameIsRefused(t *testing.T) {
	p := start(t)
	if _, err := client(t, p).Get("https://foreign.localhost/"); err == nil || !strings.Contains(err.Error(), "tls:") {
		t.Fatalf("a handshake for a name nobody serves: %v", err)
	}
}

func TestOneProxyPerProcess(t *testing.T) {
	start(t)
	p, err := New(Config{HTTPAddr: "127.0.0.1:0", HTTPSAddr: "127.0.0.1:0", Storage: newMemory()})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); model.KindOf(err) != model.KindConflict {
		t.Fatalf("a second proxy: %v", err)
	}
}

func TestTakenPort(t *testing.T) {
	first := start(t)
	p, err := New(Config{HTTPAddr: first.HTTPAddr().String(), HTTPSAddr: "127.0.0.1:0", Storage: newMemory()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.addresses(p.cfg.HTTPAddr, false); model.KindOf(err) != model.KindUnavailable {
		t.Fatalf("a taken port: %v", err)
	}
}
