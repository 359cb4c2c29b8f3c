//go:build linux

package js_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

// door serves an isolate over real HTTP.
type door struct {
	*httptest.Server
	world *jstest.World
	errs  chan error // what Serve and rest returned
}

func open(t *testing.T, i guest.Isolate, next http.Handler) *door {
	t.Helper()
	d := &door{world: &jstest.World{}, errs: make(chan error, 100)}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &guest.Call{Request: r, Writer: w, Next: next, World: d.world, CPU: time.Second, Deadline: time.Now().Add(10 * time.Second)}
		rest, err := i.Serve(r.Context(), c)
		if err == nil && rest != nil {
			err = rest(context.WithoutCancel(r.Context()))
		}
		d.errs <- err
		if err != nil {
			panic(http.ErrAbortHandler)
		}
	}))
	t.Cleanup(d.Close)
	return d
}

// ask makes a request and returns the answer with its body read.
func (d *door) ask(t *testing.T, method, path, body string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, d.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "text/plain")
	}
	resp, err := d.Client().Do(r)
	if err != nil {
		t.Fatalf("%s (%s)", err, d.world.Text())
	}
	defer func() { _ = resp.Body.Close() }()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("%s (%s)", err, d.world.Text())
	}
	return resp, string(b)
}

func TestRequestsAreAnswered(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	for name, c := range map[string]struct{ handler, method, path, body, want string }{
		"text":             {`() => new Response("hello")`, "GET", "/", "", "200 text/plain;charset=UTF-8 hello"},
		"json":             {`() => Response.json({ a: [1, null] }, { status: 201 })`, "GET", "/", "", `201 application/json {"a":[1,null]}`},
		"method and url":   {`r => new Response(r.method + " " + new URL(r.url).pathname + new URL(r.url).search)`, "PUT", "/a%20b?c=d&e", "", "200 text/plain;charset=UTF-8 PUT /a%20b?c=d&e"},
		"other method":     {`r => new Response(r.method)`, "PURGE", "/", "", "200 text/plain;charset=UTF-8 PURGE"},
		"body text":        {`async r => new Response(await r.text() + "!")`, "POST", "/", "héllo", "200 text/plain;charset=UTF-8 héllo!"},
		"body json":        {`async r => Response.json((await r.json()).a)`, "POST", "/", `{"a":7}`, "200 application/json 7"},
		"body buffer":      {`async r => new Response(String((await r.arrayBuffer()).byteLength))`, "POST", "/", "12345", "200 text/plain;charset=UTF-8 5"},
		"body stream":      {`async r => { let n = 0; for await (const c of r.body) n += c.length; return new Response(n + "") }`, "POST", "/", strings.Repeat("x", 200_000), "200 text/plain;charset=UTF-8 200000"},
		"body passed on":   {`r => new Response(r.body)`, "POST", "/", strings.Repeat("y", 100_000), "200  " + strings.Repeat("y", 100_000)},
		"bytes":            {`() => new Response(new Uint8Array([104, 105]))`, "GET", "/", "", "200  hi"},
		"status":           {`() => new Response(null, { status: 204 })`, "GET", "/", "", "204  "},
		"redirect":         {`() => new Response("", { status: 404 })`, "GET", "/", "", "404 text/plain;charset=UTF-8 "},
		"stream":           {`() => new Response(new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("a")); c.enqueue(new TextEncoder().encode("b")); c.close() } }))`, "GET", "/", "", "200  ab"},
		"slow stream":      {`() => { let n = 0; return new Response(new ReadableStream({ async pull(c) { await new Promise(r => setTimeout(r, 1)); n++ < 5 ? c.enqueue(new TextEncoder().encode(n + "")) : c.close() } })) }`, "GET", "/", "", "200  12345"},
		"transform":        {`r => new Response(r.body.pipeThrough(new TransformStream({ transform(c, to) { to.enqueue(c); to.enqueue(c) } })))`, "POST", "/", "ab", "200  abab"},
		"promise":          {`() => new Promise(r => setTimeout(() => r(new Response("late")), 2))`, "GET", "/", "", "200 text/plain;charset=UTF-8 late"},
		"thenable":         {`() => ({ then(f) { f(new Response("then")) } })`, "GET", "/", "", "200 text/plain;charset=UTF-8 then"},
		"throws":           {`() => { throw new Error("secret") }`, "GET", "/", "", "500 text/plain; charset=utf-8 Internal Server Error\n"},
		"rejects":          {`async () => { null.x }`, "GET", "/", "", "500 text/plain; charset=utf-8 Internal Server Error\n"},
		"returns nothing":  {`() => {}`, "GET", "/", "", "500 text/plain; charset=utf-8 Internal Server Error\n"},
		"never settled":    {`() => new Promise(() => {})`, "GET", "/", "", "500 text/plain; charset=utf-8 Internal Server Error\n"},
		"overflows":        {`() => { const f = () => f() + 1; f() }`, "GET", "/", "", "500 text/plain; charset=utf-8 Internal Server Error\n"},
		"variables":        {`(r, env) => new Response(env.NAME + typeof env.KV.get)`, "GET", "/", "", "200 text/plain;charset=UTF-8 Adafunction"},
		"headers":          {`r => new Response(r.headers.get("content-type") + r.headers.has("host"))`, "POST", "/", "x", "200 text/plain;charset=UTF-8 text/plaintrue"},
		"no next":          {`(r, env, { next }) => next(r).catch(e => new Response(e.constructor.name))`, "GET", "/", "", "200 text/plain;charset=UTF-8 TypeError"},
		"form":             {`async r => new Response([...(await new Response("a=1&b=2", { headers: { "content-type": "application/x-www-form-urlencoded" } }).formData()).keys()].join())`, "GET", "/", "", "200 text/plain;charset=UTF-8 a,b"},
		"a changed then":   {`async () => { Promise.prototype.then = () => { throw 1 }; return new Response("ok") }`, "GET", "/", "", "200 text/plain;charset=UTF-8 ok"},
		"changed built-in": {`() => { Array.prototype.join = String.prototype.split = Map.prototype.get = JSON.stringify = () => { throw 1 }; return new Response("ok", { headers: { a: "1", b: "2" } }) }`, "GET", "/", "", "200 text/plain;charset=UTF-8 ok"},
	} {
		t.Run(name, func(t *testing.T) {
			code := jstest.Code("export default { fetch: " + c.handler + " }")
			code.Env = map[string]string{"NAME": "Ada"}
			p, err := e.Open(t.Context(), code)
			if err != nil {
				t.Fatal(err)
			}
			i, err := p.New(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			d := open(t, i, nil)
			for range 2 { // the second time the isolate was used before
				resp, body := d.ask(t, c.method, c.path, c.body)
				if got := fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("Content-Type"), body); got != c.want {
					t.Errorf("got %.200q, want %.200q\n%s", got, c.want, d.world.Text())
				}
			}
		})
	}
}

func TestShapesOfModules(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	for name, module := range map[string]string{
		"object":    `export default { fetch() { return new Response(String(this.x)) }, x: "ok" }`,
		"function":  `export default function () { return new Response("ok") }`,
		"arrow":     `export default () => new Response("ok")`,
		"named":     `export function fetch() { return new Response("ok") }`,
		"instance":  `class A { #x = "ok"; fetch() { return new Response(this.#x) } } export default new A()`,
		"top await": `const x = await Promise.resolve("ok"); export default { fetch() { return new Response(x) } }`,
	} {
		d := open(t, isolateOf(t, e, module), nil)
		if resp, body := d.ask(t, "GET", "/", ""); resp.StatusCode != http.StatusOK || body != "ok" {
			t.Errorf("%s: got %d %q\n%s", name, resp.StatusCode, body, d.world.Text())
		}
	}
}

func TestManyCookiesAndHeaders(t *testing.T) {
	i := isolateOf(t, jstest.Engine(t, js.Prelude{}), `export default { fetch(r) {
		const h = new Headers([["set-cookie", "a=1"], ["set-cookie", "b=2"], ["x-empty", ""], ["connection", "close"]]);
		for (const [k, v] of r.headers) if (k.startsWith("x-")) h.append("y" + k.slice(1), v);
		return new Response("", { headers: h });
	} }`)
	d := open(t, i, nil)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Add("X-A", "1")
	r.Header.Add("X-A", "2")
	resp, err := d.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Values("Set-Cookie"); len(got) != 2 {
		t.Errorf("cookies: %q", got)
	}
	if got := resp.Header.Get("Y-A"); got != "1, 2" {
		t.Errorf("combined: %q", got)
	}
	if _, ok := resp.Header["X-Empty"]; !ok {
		t.Error("an empty header is gone")
	}
}

func TestStreamsArriveAsTheyAreWritten(t *testing.T) {
	i := isolateOf(t, jstest.Engine(t, js.Prelude{}), `export default { fetch(r) {
		const input = r.body.getReader();
		return new Response(new ReadableStream({
			async pull(c) { const { done, value } = await input.read(); if (done) c.close(); else c.enqueue(value) },
		}));
	} }`)
	d := open(t, i, nil)
	pr, pw := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.URL, pr)
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = pw.Write([]byte("one\n")) }()
	resp, err := d.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	lines := bufio.NewReader(resp.Body)
	for _, want := range []string{"one\n", "two\n", "three\n"} {
		if want != "one\n" { // what comes next is written when the one before has come back
			if _, err := pw.Write([]byte(want)); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := lines.ReadString('\n'); err != nil || got != want {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	_ = pw.Close()
	if _, err := lines.ReadByte(); err != io.EOF {
		t.Fatalf("the answer does not end: %v", err)
	}
	if err := <-d.errs; err != nil {
		t.Fatal(err)
	}
}

func TestAClientThatGoesAwayEndsTheCall(t *testing.T) {
	i := isolateOf(t, jstest.Engine(t, js.Prelude{}), `export default { fetch() {
		return new Response(new ReadableStream({ async pull(c) { await new Promise(r => setTimeout(r, 1)); c.enqueue(new Uint8Array(1000)) } }));
	} }`)
	d := open(t, i, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := d.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(resp.Body, make([]byte, 5000)); err != nil {
		t.Fatal(err)
	}
	cancel()
	_ = resp.Body.Close()
	select {
	case err := <-d.errs:
		if err == nil {
			t.Fatal("the call ended well")
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the call goes on")
	}
}

func TestWhatIsWaitedForRunsOn(t *testing.T) {
	i := isolateOf(t, jstest.Engine(t, js.Prelude{}), `export default { fetch(r, env, ctx) {
		ctx.waitUntil((async () => { await new Promise(r => setTimeout(r, 20)); await env.KV.put("done", "yes") })());
		setTimeout(() => console.log("dropped"), 5000);
		return new Response("ok");
	} }`)
	d := open(t, i, nil)
	if _, body := d.ask(t, "GET", "/", ""); body != "ok" {
		t.Fatalf("got %q", body)
	}
	if err := <-d.errs; err != nil {
		t.Fatal(err)
	}
	if v, _, _ := d.world.Get(t.Context(), "done"); string(v) != "yes" {
		t.Fatalf("the store has %q", v)
	}
}

func TestAFailureAfterTheAnswerBegan(t *testing.T) {
	i := isolateOf(t, jstest.Engine(t, js.Prelude{}), `export default { fetch() {
		let n = 0;
		return new Response(new ReadableStream({ async pull(c) { await 0; if (n++) throw new Error("broken"); c.enqueue(new Uint8Array(10)) } }));
	} }`)
	d := open(t, i, nil)
	resp, err := d.Client().Get(d.URL)
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err == nil {
		t.Error("the client takes a cut answer for a whole one")
	}
	if err := <-d.errs; err == nil {
		t.Error("Serve says that it went well")
	}
	if !strings.Contains(d.world.Text(), "broken") {
		t.Errorf("the log has %q", d.world.Text())
	}
}
