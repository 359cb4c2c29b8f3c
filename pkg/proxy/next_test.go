package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/pandabox/pandabox/pkg/model"
)

func middleware(r model.Route) model.Route {
	r.Middleware = true
	return r
}

// passes marks the request and passes it on.
func passes(mark string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		r.Header.Add("X-Mark", mark)
		w.Header().Add("X-Mark", mark)
		next.ServeHTTP(w, r)
	}
}

func TestMiddleware(t *testing.T) {
	p := start(t, with(functions{
		"auth": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			if r.Header.Get("Authorization") == "" {
				http.Error(w, "who are you?", http.StatusUnauthorized)
				return
			}
			passes("auth")(w, r, next)
		},
		"log": passes("log"),
		"rewrite": func(w http.ResponseWriter, r *http.Request, next http.Handler) {
			r.URL.Path = "/admin/x"
			r.Host = "evil"
			next.ServeHTTP(w, r)
		},
		"end": says("the end"),
	}))
	shop := app(t, "shop-1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "%s %s at %s by %v", r.Method, r.RequestURI, r.Host, r.Header["X-Mark"])
	})
	routes := []model.Route{
		serving("shop.localhost", shop), middleware(on("shop.localhost", "/*", "log")), middleware(on("shop.localhost", "/admin/*", "auth")),
		middleware(on("shop.localhost", "/admin", "log")), middleware(on("shop.localhost", "/old/*", "rewrite")), on("shop.localhost", "/admin/end", "end"),
	}
	publish(t, p, routes...)
	c := client(t, p)
	ask := func(path, auth string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://shop.localhost"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", auth)
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(body)
	}
	for _, one := range []struct {
		path, auth string
		status     int
		body       string
	}{
		{"/x?y=z", "", 200, "GET /x?y=z at shop.localhost by [log]"},
		{"/admin/x", "", 401, "who are you?\n"},
		{"/admin/%78?q", "me", 200, "GET /admin/%78?q at shop.localhost by [auth log]"},
		{"/admin", "me", 200, "GET /admin at shop.localhost by [log auth]"}, // the exact path first, and each function once
		{"/x/..%2fadmin", "", 401, "who are you?\n"},
		{"/admin/end", "", 200, "the end"},
		{"/old/x", "me", 200, "GET /admin/x at shop.localhost by [auth log]"}, // what is passed on is met as what it is now
		{"/old/x", "", 401, "who are you?\n"},
	} {
		if status, body := ask(one.path, one.auth); status != one.status || body != one.body {
			t.Errorf("%s answers %d %q, want %d %q", one.path, status, body, one.status, one.body)
		}
	}
	routes[0].State, routes[0].Backends = model.RouteDown, nil
	publish(t, p, routes...)
	if status, body := ask("/x", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, "down") {
		t.Errorf("behind it the app is down, it answers %d %q", status, body)
	}
}

func TestUpgradesAndFunctions(t *testing.T) {
	p := start(t, with(functions{"f": says("no"), "m": passes("m")}))
	echo := app(t, "e-1", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		_ = rw.Flush()
		_, _ = io.Copy(conn, rw)
	})
	publish(t, p, plain(serving("e.localhost", echo)), plain(on("e.localhost", "/f", "f")), plain(middleware(on("e.localhost", "/ws", "m"))))
	for path, want := range map[string]int{"/": 101, "/ws": 101, "/f": 501} {
		conn, err := net.Dial("tcp", p.HTTPAddr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: e.localhost\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", path)
		in := bufio.NewReader(conn)
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != want {
			t.Errorf("%s: %v, %v, want %d", path, res, err, want)
			continue
		}
		if want != 101 {
			_ = res.Body.Close()
			continue
		}
		_, _ = io.WriteString(conn, "hello\n")
		if line, err := in.ReadString('\n'); err != nil || line != "hello\n" {
			t.Errorf("%s: %q, %v", path, line, err)
		}
	}
}
