//go:build linux

package web_test

import (
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

func BenchmarkHello(b *testing.B) {
	bench(b, `export default { fetch() { return new Response("hi") } }`)
}

func BenchmarkURLAndJSON(b *testing.B) {
	bench(b, `export default { fetch(request) {
		const u = new URL(request.url);
		return Response.json({ path: u.pathname, q: u.searchParams.get("q") });
	} }`)
}

func BenchmarkPost(b *testing.B) {
	bench(b, `export default { async fetch(request) {
		const r = new Request("http://example.com/", { method: "POST", body: '{"a":1}', headers: { "X-A": "b" } });
		const { a } = await r.json();
		return new Response(JSON.stringify({ a, b: r.headers.get("x-a") }), { headers: { "Content-Type": "application/json" } });
	} }`)
}

// cpuTime reports the CPU time of an iteration: the wall clock is everybody's on a busy machine.
func cpuTime(b *testing.B) func() {
	b.Helper()
	used := func() int64 {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return u.Utime.Nano() + u.Stime.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

func bench(b *testing.B, source string) {
	b.Helper()
	p, err := engine(b).Open(b.Context(), jstest.Code(source))
	if err != nil {
		b.Fatal(err)
	}
	i, err := p.New(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	defer cpuTime(b)()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodGet, "http://example.com/api/users/42?q=hello&lang=en", nil)
		call := &guest.Call{Request: r, Writer: &discard{h: http.Header{}}, World: &jstest.World{}, CPU: time.Second, Deadline: time.Now().Add(time.Minute)}
		rest, err := i.Serve(b.Context(), call)
		if err != nil {
			b.Fatal(err)
		}
		if rest != nil {
			if err := rest(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
}
