//go:build linux

package web_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

// Requests and responses as they come from a client and go to it.
func TestWhatHandlersReadAndAnswer(t *testing.T) {
	e := engine(t)
	for _, c := range []struct{ name, handler, method, target, body, want string }{
		{"URL", `(r) => { const u = new URL(r.url); return Response.json([r.method, u.pathname, u.searchParams.getAll("a"), r.headers.get("X-A")]); }`,
			"GET", "/b%20c?a=1&a=%C3%A9", "", `["GET","/b%20c",["1","é"],"1, 2"]`},
		{"json", `async (r) => Response.json((await r.json()).a)`, "POST", "/", `{"a":[1]}`, `[1]`},
		{"a body passed on", `(r) => new Response(r.body)`, "POST", "/", "through", "through"},
		{"a body through a transform", `(r) => new Response(r.body.pipeThrough(new TextDecoderStream()).pipeThrough(new TransformStream({transform(t, c) { c.enqueue(t.toUpperCase()); }})).pipeThrough(new TextEncoderStream()))`,
			"POST", "/", "loud", "LOUD"},
		{"a request passed on", `async (r) => new Response(await new Request(r, {headers: {}}).text() + r.bodyUsed)`, "POST", "/", "x", "xtrue"},
		{"both halves of a clone", `async (r) => { const c = r.clone(); return new Response(await r.text() + await c.text()); }`, "POST", "/", "ab", "abab"},
		{"a form", `async (r) => new Response((await r.formData()).get("a"))`, "POST", "/", "form:a=b+c", "b c"},
		{"pieces", `() => new Response(new ReadableStream({async pull(c) { this.n = (this.n ?? 0) + 1; await new Promise((f) => setTimeout(f)); c.enqueue(new TextEncoder().encode(this.n + ";")); if (this.n === 3) c.close(); }}))`,
			"GET", "/", "", "1;2;3;"},
		{"gzip", `(r) => new Response(r.body.pipeThrough(new CompressionStream("gzip")).pipeThrough(new DecompressionStream("gzip")))`, "POST", "/", "squeezed", "squeezed"},
		{"no body", `(r) => new Response(String(r.body))`, "GET", "/", "", "null"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := e.Open(t.Context(), jstest.Code("export default { fetch: "+c.handler+" }"))
			if err != nil {
				t.Fatal(err)
			}
			i, err := p.New(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			form, isForm := strings.CutPrefix(c.body, "form:")
			r := httptest.NewRequest(c.method, c.target, strings.NewReader(form))
			if form == "" {
				r.Body = http.NoBody // as a server has it
			}
			if isForm {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			r.Header["X-A"] = []string{"1", "2"}
			w := httptest.NewRecorder()
			world := &jstest.World{}
			rest, err := i.Serve(t.Context(), &guest.Call{Request: r, Writer: w, World: world, CPU: 5 * time.Second, Deadline: time.Now().Add(20 * time.Second)})
			if err != nil {
				t.Fatal(err, world.Text())
			}
			if rest != nil {
				if err := rest(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if w.Code != http.StatusOK || w.Body.String() != c.want {
				t.Errorf("got %d %q, want %q\n%s", w.Code, w.Body, c.want, world.Text())
			}
		})
	}
}

func TestHeadersOnTheWire(t *testing.T) {
	p, err := engine(t).Open(t.Context(), jstest.Code(`export default { fetch() {
		const r = new Response(null, {status: 201, headers: [["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]]}); r.headers.append("X-A", "1"); r.headers.append("X-A", "2"); return r; } }`))
	if err != nil {
		t.Fatal(err)
	}
	i, err := p.New(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	call := &guest.Call{Request: httptest.NewRequest(http.MethodGet, "/", nil), Writer: w, World: &jstest.World{}, CPU: 5 * time.Second, Deadline: time.Now().Add(20 * time.Second)}
	if _, err := i.Serve(t.Context(), call); err != nil {
		t.Fatal(err)
	}
	h := w.Header()
	if w.Code != 201 || !slices.Equal(h.Values("Set-Cookie"), []string{"a=1", "b=2"}) || strings.Join(h.Values("X-A"), ", ") != "1, 2" {
		t.Fatalf("%d %v", w.Code, h)
	}
}
