//go:build linux

package js_test

import (
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
)

type discard struct{ h http.Header }

func (d *discard) Header() http.Header         { return d.h }
func (d *discard) Write(b []byte) (int, error) { return len(b), nil }
func (d *discard) WriteHeader(int)             {}

const hello = `export default { fetch() { return new Response("hello world") } }`
const helloAsync = `export default { async fetch() { return new Response("hello world") } }`

func serve(b *testing.B, i guest.Isolate) {
	r := httptest.NewRequest(http.MethodGet, "http://example.com/a?b=c", nil)
	rest, err := i.Serve(b.Context(), &guest.Call{Request: r, Writer: &discard{h: http.Header{}}, World: &jstest.World{}, CPU: time.Second, Deadline: time.Now().Add(time.Minute)})
	if err != nil {
		b.Fatal(err)
	}
	if rest != nil {
		if err := rest(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWarm(b *testing.B)      { bench(b, hello, false) }
func BenchmarkWarmAsync(b *testing.B) { bench(b, helloAsync, false) }
func BenchmarkJSON(b *testing.B) {
	bench(b, `export default { fetch(r) { const u = new URL(r.url); return Response.json({ path: u.pathname, b: u.searchParams.get("b"), list: [1, 2, 3] }) } }`, false)
}
func BenchmarkReset(b *testing.B) { bench(b, hello, true) }

// cpuTime reports the CPU time of an iteration: the wall clock is everybody's on a busy machine.
func cpuTime(b *testing.B) func() {
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

func bench(b *testing.B, source string, reset bool) {
	e := jstest.Engine(b, js.Prelude{})
	p, err := e.Open(b.Context(), jstest.Code(source))
	if err != nil {
		b.Fatal(err)
	}
	i, err := p.New(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(p.Snapshot()), "snapshot-bytes")
	serve(b, i)
	b.ReportAllocs()
	defer cpuTime(b)()
	for b.Loop() {
		if reset {
			if err := i.Reset(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		serve(b, i)
	}
}

func BenchmarkCold(b *testing.B) {
	e := jstest.Engine(b, js.Prelude{})
	p, err := e.Open(b.Context(), jstest.Code(hello))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	defer cpuTime(b)()
	for b.Loop() {
		i, err := p.New(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		serve(b, i)
		if err := i.Close(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
