//go:build linux

package js_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

// peer is what functions fetch from.
func peer(t *testing.T) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Method", r.Method)
		w.Header().Set("X-Auth", r.Header.Get("Authorization"))
		w.Header().Add("Set-Cookie", "a=1")
		w.Header().Add("Set-Cookie", "b=2")
		w.WriteHeader(http.StatusAccepted)
		_, _ = fmt.Fprintf(w, "%s|%s", r.Header.Get("Content-Type"), b)
	})
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/echo", map[string]int{"301": 301, "303": 303, "307": 307}[r.URL.Query().Get("s")])
	})
	mux.HandleFunc("/round", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/round", http.StatusFound) })
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	mux.HandleFunc("/parts", func(w http.ResponseWriter, _ *http.Request) {
		for n := range 3 {
			_, _ = fmt.Fprintf(w, "%d,", n)
			_ = http.NewResponseController(w).Flush()
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}

func TestFetch(t *testing.T) {
	e, p := jstest.Engine(t, js.Prelude{}), peer(t)
	for source, want := range map[string]string{
		`const r = await fetch(at + "/echo", { method: "POST", body: "x" }); return [r.status, r.ok, r.headers.get("x-method"), await r.text(), r.headers.getSetCookie().length]`: `[202,true,"POST","text/plain;charset=UTF-8|x",2]`,
		`const r = await fetch(new Request(at + "/echo", { method: "PUT", body: new Uint8Array([65, 66]) })); return await r.text()`:                                              `"|AB"`,
		`const s = new ReadableStream({ start(c) { c.enqueue(new TextEncoder().encode("str")); c.enqueue(new TextEncoder().encode("eam")); c.close() } });
		 return await (await fetch(at + "/echo", { method: "POST", body: s, duplex: "half" })).text()`: `"|stream"`,
		`const [a, b] = await Promise.all([fetch(at + "/echo"), fetch(at + "/parts")]); return [await a.text(), await b.text()]`:                                            `["|","0,1,2,"]`,
		`const r = await fetch(at + "/to?s=301", { method: "POST", body: "x" }); return [r.redirected, r.url.endsWith("/echo"), r.headers.get("x-method"), await r.text()]`: `[true,true,"GET","|"]`,
		`const r = await fetch(at + "/to?s=307", { method: "POST", body: "x" }); return [r.headers.get("x-method"), await r.text()]`:                                        `["POST","text/plain;charset=UTF-8|x"]`,
		`const r = await fetch(at + "/to?s=303", { redirect: "manual" }); return [r.status, r.headers.get("location")]`:                                                     `[303,"/echo"]`,
		`return await fetch(at + "/to?s=303", { redirect: "error" }).catch(e => e.name)`:                                                                                    `"TypeError"`,
		`return await fetch(at + "/round").catch(e => e.message)`:                                                                                                           `"fetch: too many redirects"`,
		`return await fetch("ftp://x/").catch(e => e.name)`:                                                                                                                 `"TypeError"`,
		`return await fetch("http://127.0.0.1:1/").catch(e => e.name)`:                                                                                                      `"TypeError"`,
		`return await fetch("nonsense").catch(e => e.name)`:                                                                                                                 `"TypeError"`,
		`const c = new AbortController(); setTimeout(() => c.abort(), 5); return await fetch(at + "/slow", { signal: c.signal }).catch(e => e.name)`:                        `"AbortError"`,
		`return await fetch(at + "/slow", { signal: AbortSignal.timeout(5) }).catch(e => e.name)`:                                                                           `"TimeoutError"`,
		`return await fetch(at + "/slow", { signal: AbortSignal.abort("why") }).catch(e => e)`:                                                                              `"why"`,
		`let s = ""; for await (const c of (await fetch(at + "/parts")).body) s += new TextDecoder().decode(c); return s`:                                                   `"0,1,2,"`,
		`fetch(at + "/slow"); return "not awaited"`:                                                                                                                         `"not awaited"`,
	} {
		if got, _ := jstest.Run(t, e, "const at = \""+p.URL+"\"; "+source); got != want {
			t.Errorf("%s\nis %s, want %s", source, got, want)
		}
	}
}

func TestAnAnswerIsPassedOnUnread(t *testing.T) {
	p := peer(t)
	i := isolateOf(t, jstest.Engine(t, js.Prelude{}), `export default { async fetch(r) { const a = await fetch("`+p.URL+`" + new URL(r.url).pathname, r); return new Response(a.body, a) } }`)
	d := open(t, i, nil)
	resp, body := d.ask(t, "POST", "/echo", "hello")
	if resp.StatusCode != http.StatusAccepted || body != "text/plain|hello" || len(resp.Header.Values("Set-Cookie")) != 2 {
		t.Fatalf("got %d %q %q\n%s", resp.StatusCode, body, resp.Header, d.world.Text())
	}
}

func TestNextIsWhatIsBehind(t *testing.T) {
	behind := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic(http.ErrAbortHandler)
		}
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Behind", r.Header.Get("X-Added"))
		w.WriteHeader(http.StatusTeapot)
		_, _ = fmt.Fprintf(w, "%s %s %s", r.Method, r.URL.RequestURI(), b)
	})
	e := jstest.Engine(t, js.Prelude{})
	for handler, want := range map[string]string{
		`(r, env, { next }) => next(r)`: "418  POST /a?b body",
		`(r, env, ctx) => ctx.next()`:   "418  POST /a?b body",
		`async (r, env, { next }) => { const h = new Headers(r.headers); h.set("x-added", "1"); const a = await next(new Request(r, { headers: h })); return new Response(await a.text() + "!", a) }`: "418 1 POST /a?b body!",
		`(r, env, { next }) => next(new Request(new URL("/other", r.url)))`:                                                                   "418  GET /other ",
		`async (r, env, { next }) => { try { await next(new Request(new URL("/panic", r.url))) } catch (e) { return new Response(e.name) } }`: "200  TypeError",
	} {
		d := open(t, isolateOf(t, e, "export default { fetch: "+handler+" }"), behind)
		resp, body := d.ask(t, "POST", "/a?b", "body")
		if got := fmt.Sprintf("%d %s %s", resp.StatusCode, resp.Header.Get("X-Behind"), body); got != want {
			t.Errorf("%s\ngot %q, want %q\n%s", handler, got, want, d.world.Text())
		}
	}
}

func TestTheStore(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	for source, want := range map[string]string{
		`await env.KV.put("a", "é"); return [await env.KV.get("a"), await env.KV.get("a", "text"), await env.KV.get("none")]`:                                                                                                                                                                              `["é","é",null]`,
		`await env.KV.put("a", JSON.stringify({ b: 1 })); return [await env.KV.get("a", "json"), await env.KV.get("a", { type: "json" })]`:                                                                                                                                                                 `[{"b":1},{"b":1}]`,
		`await env.KV.put("a", new Uint8Array([1, 2])); const b = await env.KV.get("a", "arrayBuffer"); return [b instanceof ArrayBuffer, b.byteLength]`:                                                                                                                                                   `[true,2]`,
		`await env.KV.put("a", "x"); await env.KV.delete("a"); return await env.KV.get("a")`:                                                                                                                                                                                                               `null`,
		`for (const k of ["p1", "p2", "p3", "q"]) await env.KV.put(k, "x"); const a = await env.KV.list({ prefix: "p", limit: 2 }); const b = await env.KV.list({ prefix: "p", limit: 2, cursor: a.cursor }); return [a.keys.map(k => k.name), a.list_complete, b.keys.map(k => k.name), b.list_complete]`: `[["p1","p2"],false,["p3"],true]`,
		`await env.KV.put("a", "x", { expirationTtl: 100 }); return (await env.KV.list()).keys[0].expiration > Date.now() / 1000 + 90`:                                                                                                                                                                     `true`,
		`return await env.KV.put("a", {}).catch(e => e.name)`:                         `"TypeError"`,
		`return await env.KV.get("a", "blob").catch(e => e.name)`:                     `"TypeError"`,
		`return await env.KV.put("a", "x", { expirationTtl: -1 }).catch(e => e.name)`: `"RangeError"`,
		`return await env.KV.put("a", "x", { expiration: 1000 }).catch(e => e.name)`:  `"RangeError"`,
		`return await env.KV.list({ limit: 5000 }).catch(e => e.name)`:                `"RangeError"`,
	} {
		if got, _ := jstest.Run(t, e, source); got != want {
			t.Errorf("%s\nis %s, want %s", source, got, want)
		}
	}
}

func TestTimersRunInOrder(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	for source, want := range map[string]string{
		`const l = []; setTimeout(() => l.push("b"), 4); setTimeout(() => l.push("a"), 1); setTimeout((...x) => l.push(x), 2, 1, 2); queueMicrotask(() => l.push("m")); await new Promise(r => setTimeout(r, 10)); return l`: `["m","a",[1,2],"b"]`,
		`let n = 0; const i = setInterval(() => { if (++n === 3) clearInterval(i) }, 1); await new Promise(r => setTimeout(r, 30)); return n`:                                                                                `3`,
		`let n = 0; const i = setTimeout(() => n++, 1); clearTimeout(i); clearTimeout(99); clearTimeout(); await new Promise(r => setTimeout(r, 5)); return n`:                                                               `0`,
		`const a = Date.now(); await new Promise(r => setTimeout(r, 20)); return Date.now() - a >= 19`:                                                                                                                       `true`,
		`try { setTimeout("code") } catch (e) { return e.name }`: `"TypeError"`,
		`const t = []; for (let i = 0; i < 3; i++) setTimeout(() => { t.push(i); Promise.resolve().then(() => t.push("m" + i)) }, 1); await new Promise(r => setTimeout(r, 10)); return t`: `[0,"m0",1,"m1",2,"m2"]`,
	} {
		if got, _ := jstest.Run(t, e, source); got != want {
			t.Errorf("%s\nis %s, want %s", source, got, want)
		}
	}
}

func TestConsole(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	for source, want := range map[string]string{
		`console.log("a", 1, true, null, undefined, 10n, Symbol("s"), -0)`:            "a 1 true null undefined 10n Symbol(s) -0",
		`console.log({ a: 1, "b-c": "x", d: [1, "2"] })`:                              `{ a: 1, "b-c": "x", d: [ 1, "2" ] }`,
		`console.log("%s is %d%% of %o", "x", 50, { y: 1 }, "more")`:                  `x is 50% of { y: 1 } more`,
		`console.log([], {}, [undefined, , 3])`:                                       `[] {} [ undefined, <empty>, 3 ]`,
		`console.log(new Map([["a", { b: 1 }]]), new Set([1]))`:                       `Map(1) { "a" => { b: 1 } } Set(1) { 1 }`,
		`const o = { x: 1 }; o.self = o; console.log(o)`:                              `{ x: 1, self: [Circular] }`,
		`class A { x = 1; get y() { return 2 } } console.log(new A(), A, () => {})`:   `A { x: 1 } [Function: A] [Function (anonymous)]`,
		`console.log(new Date(0), /a/g, new Uint8Array([1, 2]), Object.create(null))`: `1970-01-01T00:00:00.000Z /a/g Uint8Array(2) [ 1, 2 ] [Object: null prototype] {}`,
		`console.log({ a: { b: { c: { d: { e: 1 } } } } })`:                           `{ a: { b: { c: { d: [Object] } } } }`,
		`console.log({ get x() { throw 1 } }, Promise.resolve(1))`:                    `{ x: [Getter] } Promise {}`,
	} {
		_, lines := jstest.Run(t, e, source)
		if len(lines) != 1 || lines[0].Text != want || lines[0].Stream != "stdout" {
			t.Errorf("%s\nprints %q, want %q", source, lines, want)
		}
	}
	_, lines := jstest.Run(t, e, `console.error("a\nb"); console.warn("c"); console.assert(false, "d"); console.group("g"); console.info("h"); console.groupEnd(); console.log("i")`)
	want := []jstest.Line{{Stream: "stderr", Text: "a"}, {Stream: "stderr", Text: "b"}, {Stream: "stderr", Text: "c"}, {Stream: "stderr", Text: "Assertion failed: d"}, {Stream: "stdout", Text: "g"}, {Stream: "stdout", Text: "  h"}, {Stream: "stdout", Text: "i"}}
	if fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("got %q", lines)
	}
	_, lines = jstest.Run(t, e, "console.log(new TypeError('bad', { cause: 'c' }))")
	if text := fmt.Sprint(lines); !strings.Contains(text, "TypeError: bad") || !strings.Contains(text, "[cause]: \"c\"") || !strings.Contains(text, "main.js:") || strings.Contains(text, "pandabox:") {
		t.Errorf("an error is %q", lines)
	}
}

func TestEveryIsolateHasItsOwnRandomNumbersAndTime(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	seen := map[string]bool{}
	for range 3 {
		got, _ := jstest.Run(t, e, `return [Math.random(), crypto.randomUUID()]`)
		seen[got] = true
	}
	if len(seen) != 3 {
		t.Errorf("isolates draw the same: %v", seen)
	}
	got, _ := jstest.Run(t, e, `return Date.now()`)
	if now := fmt.Sprint(time.Now().UnixMilli()); got[:9] != now[:9] {
		t.Errorf("the time is %s, not %s", got, now)
	}
}
