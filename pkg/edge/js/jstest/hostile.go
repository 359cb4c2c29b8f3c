package jstest

import (
	"errors"

	"github.com/pandabox/pandabox/pkg/edge/guest"
)

// ErrThrown stands for whatever the script itself throws.
var ErrThrown = errors.New("an exception")

// Script is the body of an async handler that means harm, and the errors it may end with; nil: it may also end well.
type Script struct {
	Source string
	Ends   []error
}

// Hostile returns scripts that try everything to never end, to take all memory, or to break what is around them, by name.
func Hostile() map[string]Script {
	cpu, timeout := []error{guest.ErrCPU}, []error{guest.ErrTimeout}
	big := []error{guest.ErrMemory, guest.ErrCPU, ErrThrown}
	return map[string]Script{
		"endless loop":         {"for (;;);", cpu},
		"loop that catches":    {"for (;;) try { (() => { for (;;); })() } catch {}", cpu},
		"promise loop":         {"const f = () => Promise.resolve().then(f); await f();", cpu},
		"async loop":           {"for (;;) await null;", cpu},
		"microtask flood":      {"const f = () => { queueMicrotask(f); queueMicrotask(f) }; f(); await new Promise(() => {});", []error{guest.ErrCPU, guest.ErrMemory}},
		"regular expression":   {"/^(a+)+$/.test('a'.repeat(40) + '!')", cpu},
		"regular expression 2": {"/(x+x+)+y/.exec('x'.repeat(50))", cpu},
		"array join":           {"new Array(1e9) + ''", []error{guest.ErrCPU, guest.ErrMemory, ErrThrown}},
		"string doubling":      {"let s = 'x'; for (;;) s += s;", big},
		"string repeat":        {"'x'.repeat(2**29).split('')", big},
		"deep recursion":       {"const f = () => f() + 1; f();", []error{ErrThrown, guest.ErrCPU}},
		"mutual recursion":     {"const f = n => g(n), g = n => { try { return f(n) } finally { f(n) } }; f(1);", cpu},
		"deep JSON":            {"JSON.parse('['.repeat(1e6))", []error{ErrThrown, guest.ErrCPU}},
		"JSON bomb":            {"let a = 'x'; for (let i = 0; i < 40; i++) a = [a, a]; JSON.stringify(a)", big},
		"JSON getter":          {"JSON.stringify({ toJSON() { for (;;); } })", cpu},
		"sort":                 {"Array.from({ length: 1e6 }, (_, i) => i).sort(() => Math.random() - 0.5)", []error{guest.ErrCPU, guest.ErrMemory}},
		"compare that sorts":   {"const a = [2, 1]; a.sort(() => { for (;;); })", cpu},
		"toString":             {"`${{ toString() { for (;;); } }}`", cpu},
		"proxy":                {"const p = new Proxy({}, { get: (t, k, r) => r[k] }); p.x", []error{ErrThrown}},
		"proxy of a proxy":     {"let p = {}; for (let i = 0; i < 1e6; i++) p = new Proxy(p, {}); p.x", []error{ErrThrown, guest.ErrCPU, guest.ErrMemory}},
		"generator":            {"function* g() { for (;;) yield 1 } for (const x of g());", cpu},
		"spread":               {"function* g() { for (;;) yield 1 } [...g()]", big},
		"typed arrays":         {"const a = []; for (;;) a.push(new Uint8Array(1 << 20))", big},
		"one huge array":       {"new Uint8Array(2 ** 31)", []error{ErrThrown, guest.ErrMemory}},
		"bigint":               {"let n = 3n; for (;;) n = n ** 3n;", big},
		"bigint in one go":     {"(2n ** 10000000n) ** 50n", big},
		"map flood":            {"const m = new Map(); for (let i = 0; ; i++) m.set(i, { i })", big},
		"array fill":           {"const a = []; a.length = 2 ** 32 - 1; a.fill(1)", big},
		"array indexOf":        {"const a = []; a.length = 2 ** 32 - 1; a.indexOf(1)", []error{guest.ErrCPU, guest.ErrMemory}},
		"array copy":           {"const a = new Uint8Array(2 ** 24); for (;;) a.copyWithin(1, 0)", []error{guest.ErrCPU, ErrThrown, guest.ErrMemory}},
		"console flood":        {"for (;;) console.log('x'.repeat(1000))", cpu},
		"console of a monster": {"const o = {}; let p = o; for (let i = 0; i < 1e5; i++) p = p.next = { a: [o, o, o] }; for (;;) console.log(o)", []error{guest.ErrCPU, guest.ErrMemory}},
		"timer flood":          {"const f = () => { setTimeout(f); setTimeout(f) }; f(); await new Promise(() => {});", []error{guest.ErrCPU, guest.ErrTimeout, ErrThrown}},
		"interval":             {"setInterval(() => {}, 0); await new Promise(() => {});", timeout},
		"never settled":        {"await new Promise(() => {});", []error{ErrThrown}},
		"slow":                 {"await new Promise(r => setTimeout(r, 1e9));", timeout},
		"waitUntil for good":   {"ctx.waitUntil(new Promise(r => setTimeout(r, 1e9)))", timeout},
		"eval":                 {"eval('for (;;);')", cpu},
		"function constructor": {"new Function('for (;;);')()", cpu},
		"source bomb":          {"new Function('(' .repeat(1e6))", []error{ErrThrown, guest.ErrCPU, guest.ErrMemory}},
		"date parse":           {"for (;;) Date.parse('x'.repeat(1e6))", []error{guest.ErrCPU, guest.ErrMemory}},
		"then that is changed": {"Promise.prototype.then = () => { throw 1 }; await env.KV.get('a');", []error{nil, ErrThrown}},
		"setters everywhere":   {"for (const k of ['0', 'status', 'value', 'done', 'get', 'set', 'then', 'name', 'message']) Object.defineProperty(Object.prototype, k, { set() { for (;;); }, get() { for (;;); }, configurable: true }); await env.KV.list();", []error{nil, ErrThrown, guest.ErrCPU}},
		"globals deleted":      {"for (const k of Reflect.ownKeys(globalThis)) try { delete globalThis[k] } catch {}", []error{nil, ErrThrown}},
		"prototypes frozen":    {"for (const c of [Object, Array, Promise, Function, Map, Error]) { Object.freeze(c); Object.freeze(c.prototype) } setTimeout(() => {}); await env.KV.put('a', 'b');", []error{nil}},
		"an error that lies":   {"throw { get message() { throw 1 }, get stack() { for (;;); }, get name() { return { toString() { for (;;); } } } }", []error{guest.ErrCPU, ErrThrown}},
		"an error with no end": {"const e = new Error('x'); e.cause = e; throw e", []error{ErrThrown}},
		"wrong types":          {"for (const f of [setTimeout, clearTimeout, queueMicrotask, env.KV.get, env.KV.put, env.KV.list]) for (const x of [undefined, null, NaN, -1, 2**53, 1n, Symbol(), {}, [], () => {}, 'x'.repeat(1e5)]) try { await f(x, x, x) } catch {}", []error{nil}},
		"detached buffers":     {"const b = new Uint8Array(10); b.buffer.transfer(); try { await env.KV.put('a', b) } catch (e) { return }", []error{nil, ErrThrown}},
		"symbol species":       {"Object.defineProperty(Promise, Symbol.species, { get() { for (;;); } }); await env.KV.get('a');", []error{nil, guest.ErrCPU, ErrThrown}},
		"finalizers":           {"const r = new FinalizationRegistry(() => { for (;;); }); for (let i = 0; i < 1e4; i++) r.register({}, i); await new Promise(r => setTimeout(r, 1));", []error{nil, guest.ErrCPU}},
		"async iteration":      {"for await (const x of (async function* () { for (;;) yield 1 })());", cpu},
		"label soup":           {"a: for (;;) { b: for (;;) continue a; }", cpu},
		"with decodeURI":       {"for (;;) decodeURIComponent('%41'.repeat(1e5))", []error{guest.ErrCPU, guest.ErrMemory}},
		"normalize":            {"for (;;) 'e\\u0301'.repeat(1e5).normalize('NFC')", []error{guest.ErrCPU, guest.ErrMemory}},
		"localeCompare":        {"for (;;) 'a'.repeat(1e5).localeCompare('a'.repeat(1e5))", []error{guest.ErrCPU, guest.ErrMemory}},
	}
}
