//go:build linux

package js_test

import (
	"errors"
	"testing"
	"time"

	"github.com/pandabox/pandabox/pkg/edge/guest"
	"github.com/pandabox/pandabox/pkg/edge/js"
	"github.com/pandabox/pandabox/pkg/edge/js/jstest"
	"github.com/pandabox/pandabox/pkg/model"
)

// The limits under which hostile scripts run, and how much later than them a script may end.
const (
	hostileCPU     = 100 * time.Millisecond
	hostileTimeout = 300 * time.Millisecond
	margin         = time.Second // the machine may be busy with other tests; make bench measures it alone
)

var errThrown = errors.New("an exception")

// hostile are bodies of an async handler. errs are the errors they may end with; nil: they may also end well.
func hostile() map[string]struct {
	source string
	errs   []error
} {
	cpu, timeout := []error{guest.ErrCPU}, []error{guest.ErrTimeout}
	big := []error{guest.ErrMemory, guest.ErrCPU, errThrown}
	return map[string]struct {
		source string
		errs   []error
	}{
		"endless loop":         {"for (;;);", cpu},
		"loop that catches":    {"for (;;) try { (() => { for (;;); })() } catch {}", cpu},
		"promise loop":         {"const f = () => Promise.resolve().then(f); await f();", cpu},
		"async loop":           {"for (;;) await null;", cpu},
		"microtask flood":      {"const f = () => { queueMicrotask(f); queueMicrotask(f) }; f(); await new Promise(() => {});", []error{guest.ErrCPU, guest.ErrMemory}},
		"regular expression":   {"/^(a+)+$/.test('a'.repeat(40) + '!')", cpu},
		"regular expression 2": {"/(x+x+)+y/.exec('x'.repeat(50))", cpu},
		"array join":           {"new Array(1e9) + ''", []error{guest.ErrCPU, guest.ErrMemory, errThrown}},
		"string doubling":      {"let s = 'x'; for (;;) s += s;", big},
		"string repeat":        {"'x'.repeat(2**29).split('')", big},
		"deep recursion":       {"const f = () => f() + 1; f();", []error{errThrown, guest.ErrCPU}},
		"mutual recursion":     {"const f = n => g(n), g = n => { try { return f(n) } finally { f(n) } }; f(1);", cpu},
		"deep JSON":            {"JSON.parse('['.repeat(1e6))", []error{errThrown, guest.ErrCPU}},
		"JSON bomb":            {"let a = 'x'; for (let i = 0; i < 40; i++) a = [a, a]; JSON.stringify(a)", big},
		"JSON getter":          {"JSON.stringify({ toJSON() { for (;;); } })", cpu},
		"sort":                 {"Array.from({ length: 1e6 }, (_, i) => i).sort(() => Math.random() - 0.5)", []error{guest.ErrCPU, guest.ErrMemory}},
		"compare that sorts":   {"const a = [2, 1]; a.sort(() => { for (;;); })", cpu},
		"toString":             {"`${{ toString() { for (;;); } }}`", cpu},
		"proxy":                {"const p = new Proxy({}, { get: (t, k, r) => r[k] }); p.x", []error{errThrown}},
		"proxy of a proxy":     {"let p = {}; for (let i = 0; i < 1e6; i++) p = new Proxy(p, {}); p.x", []error{errThrown, guest.ErrCPU, guest.ErrMemory}},
		"generator":            {"function* g() { for (;;) yield 1 } for (const x of g());", cpu},
		"spread":               {"function* g() { for (;;) yield 1 } [...g()]", big},
		"typed arrays":         {"const a = []; for (;;) a.push(new Uint8Array(1 << 20))", big},
		"one huge array":       {"new Uint8Array(2 ** 31)", []error{errThrown, guest.ErrMemory}},
		"bigint":               {"let n = 3n; for (;;) n = n ** 3n;", big},
		"bigint in one go":     {"(2n ** 10000000n) ** 50n", big},
		"map flood":            {"const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })", big},
		"array fill":           {"const a = []; a.length = 2 ** 32 - 1; a.fill(1)", big},
		"array indexOf":        {"const a = []; a.length = 2 ** 32 - 1; a.indexOf(1)", []error{guest.ErrCPU, guest.ErrMemory}},
		"array copy":           {"const a = new Uint8Array(2 ** 24); for (;;) a.copyWithin(1, 0)", []error{guest.ErrCPU, errThrown, guest.ErrMemory}},
		"console flood":        {"for (;;) console.log('x'.repeat(1000))", cpu},
		"console of a monster": {"const o = {}; let p = o; for (let i = 0; i < 1e5; i++) p = p.next = { a: [o, o, o] }; for (;;) console.log(o)", []error{guest.ErrCPU, guest.ErrMemory}},
		"timer flood":          {"const f = () => { setTimeout(f); setTimeout(f) }; f(); await new Promise(() => {});", []error{guest.ErrCPU, guest.ErrTimeout, errThrown}},
		"interval":             {"setInterval(() => {}, 0); await new Promise(() => {});", timeout},
		"never settled":        {"await new Promise(() => {});", []error{errThrown}},
		"slow":                 {"await new Promise(r => setTimeout(r, 1e9));", timeout},
		"waitUntil for good":   {"ctx.waitUntil(new Promise(r => setTimeout(r, 1e9)))", timeout},
		"eval":                 {"eval('for (;;);')", cpu},
		"function constructor": {"new Function('for (;;);')()", cpu},
		"source bomb":          {"new Function('(' .repeat(1e6))", []error{errThrown, guest.ErrCPU, guest.ErrMemory}},
		"date parse":           {"for (;;) Date.parse('x'.repeat(1e6))", []error{guest.ErrCPU, guest.ErrMemory}},
		"then that is changed": {"Promise.prototype.then = () => { throw 1 }; await env.KV.get('a');", []error{nil, errThrown}},
		"setters everywhere":   {"for (const k of ['0', 'status', 'value', 'done', 'get', 'set', 'then', 'name', 'message']) Object.defineProperty(Object.prototype, k, { set() { for (;;); }, get() { for (;;); }, configurable: true }); await env.KV.list();", []error{nil, errThrown, guest.ErrCPU}},
		"globals deleted":      {"for (const k of Reflect.ownKeys(globalThis)) try { delete globalThis[k] } catch {}", []error{nil, errThrown}},
		"prototypes frozen":    {"for (const c of [Object, Array, Promise, Function, Map, Error]) { Object.freeze(c); Object.freeze(c.prototype) } setTimeout(() => {}); await env.KV.put('a', 'b');", []error{nil}},
		"an error that lies":   {"throw { get message() { throw 1 }, get stack() { for (;;); }, get name() { return { toString() { for (;;); } } } }", []error{guest.ErrCPU, errThrown}},
		"an error with no end": {"const e = new Error('x'); e.cause = e; throw e", []error{errThrown}},
		"wrong types":          {"for (const f of [setTimeout, clearTimeout, queueMicrotask, env.KV.get, env.KV.put, env.KV.list]) for (const x of [undefined, null, NaN, -1, 2**53, 1n, Symbol(), {}, [], () => {}, 'x'.repeat(1e5)]) try { await f(x, x, x) } catch {}", []error{nil}},
		"detached buffers":     {"const b = new Uint8Array(10); b.buffer.transfer(); try { await env.KV.put('a', b) } catch (e) { return }", []error{nil, errThrown}},
		"symbol species":       {"Object.defineProperty(Promise, Symbol.species, { get() { for (;;); } }); await env.KV.get('a');", []error{nil, guest.ErrCPU, errThrown}},
		"finalizers":           {"const r = new FinalizationRegistry(() => { for (;;); }); for (let i = 0; i < 1e4; i++) r.register({}, i); await new Promise(r => setTimeout(r, 1));", []error{nil, guest.ErrCPU}},
		"async iteration":      {"for await (const x of (async function* () { for (;;) yield 1 })());", cpu},
		"label soup":           {"a: for (;;) { b: for (;;) continue a; }", cpu},
		"with decodeURI":       {"for (;;) decodeURIComponent('%41'.repeat(1e5))", []error{guest.ErrCPU, guest.ErrMemory}},
		"normalize":            {"for (;;) 'e\\u0301'.repeat(1e5).normalize('NFC')", []error{guest.ErrCPU, guest.ErrMemory}},
		"localeCompare":        {"for (;;) 'a'.repeat(1e5).localeCompare('a'.repeat(1e5))", []error{guest.ErrCPU, guest.ErrMemory}},
	}
}

func TestHostileScriptsEnd(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	neighbour := isolateOf(t, e, `export async function scheduled() { await 1; console.log("alive") }`)
	for name, h := range hostile() {
		t.Run(name, func(t *testing.T) {
			code := jstest.Code("export default { async scheduled(event, env, ctx) { " + h.source + "\n} }")
			code.Function.Limits.Memory = 16 << 20
			p, err := e.Open(t.Context(), code)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = p.Close(t.Context()) }()
			i, err := p.New(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w := &jstest.World{}
			began := time.Now()
			err = i.Scheduled(t.Context(), &guest.Call{World: w, CPU: hostileCPU, Deadline: began.Add(hostileTimeout)}, model.ScheduledEvent{})
			if took := time.Since(began); took > hostileTimeout+margin {
				t.Errorf("it ended after %s", took)
			}
			if !among(err, h.errs) {
				t.Errorf("it ended with %v, want one of %v\n%.2000s", err, h.errs, w.Text())
			}
			if err := i.Close(t.Context()); err != nil {
				t.Error(err)
			}
			alive(t, neighbour)
		})
	}
}

func among(err error, all []error) bool {
	limit := errors.Is(err, guest.ErrCPU) || errors.Is(err, guest.ErrMemory) || errors.Is(err, guest.ErrTimeout)
	for _, a := range all {
		switch {
		case a == nil:
			if err == nil {
				return true
			}
		case errors.Is(a, errThrown):
			if err != nil && !limit {
				return true
			}
		case errors.Is(err, a):
			return true
		}
	}
	return false
}

// alive checks that an isolate beside still answers.
func alive(t *testing.T, i guest.Isolate) {
	t.Helper()
	w := &jstest.World{}
	if err := i.Scheduled(t.Context(), &guest.Call{World: w, CPU: time.Second, Deadline: time.Now().Add(time.Second)}, model.ScheduledEvent{}); err != nil {
		t.Fatal(err)
	}
	if w.Text() != "alive\n" {
		t.Fatalf("the neighbour printed %q", w.Text())
	}
}

func TestHostileModulesDoNotLoad(t *testing.T) {
	e := jstest.Engine(t, js.Prelude{})
	for name, source := range map[string]string{
		"loop": "for (;;);", "memory": "const a = []; for (;;) a.push('x'.repeat(1e5) + a.length)", "throw": "throw 1",
		"await": "await new Promise(() => {})", "regexp": "/^(a+)+$/.test('a'.repeat(40) + '!')",
		"jobs": "const f = () => Promise.resolve().then(f); await f()",
	} {
		code := jstest.Code(source + "; export default { fetch() {} }")
		code.Function.Limits.CPU = model.Duration(hostileCPU)
		code.Function.Limits.Memory = 16 << 20
		began := time.Now()
		_, err := e.Open(t.Context(), code)
		var told *model.Error
		if !errors.As(err, &told) || told.Kind != model.KindInvalid || told.Hint == "" {
			t.Errorf("%s: got %v", name, err)
		}
		if took := time.Since(began); took > hostileTimeout+margin {
			t.Errorf("%s: ended after %s", name, took)
		}
	}
}
